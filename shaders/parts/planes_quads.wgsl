// Role planes: four neighbouring pixels of an image in, four values of a plane out, for images of whole quads.

@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>; // [images, plane / 4], 0xAABBGGRR each
@group(0) @binding(2) var<storage, read_write> y: array<Elem4>; // [3 images, plane / 4]

fn planes_load(pixels: u32, image: u32, quad: u32) -> vec4<u32> {
    return x[image * (pixels / 4u) + quad];
}

fn planes_store(pixels: u32, plane: u32, quad: u32, v: vec4<f32>) {
    y[plane * (pixels / 4u) + quad] = Elem4(v);
}
