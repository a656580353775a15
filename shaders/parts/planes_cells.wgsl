// Role planes: four neighbouring pixels of an image in, four values of a plane out, for images of any size. Beyond the end
// the last pixel is read again and nothing is written.

@group(0) @binding(1) var<storage, read> x: array<u32>; // [images, plane], 0xAABBGGRR
@group(0) @binding(2) var<storage, read_write> y: array<Elem>; // [3 images, plane]

fn planes_load(pixels: u32, image: u32, quad: u32) -> vec4<u32> {
    let p = image * pixels + min(4u * quad + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(pixels - 1u));
    return vec4<u32>(x[p.x], x[p.y], x[p.z], x[p.w]);
}

fn planes_store(pixels: u32, plane: u32, quad: u32, v: vec4<f32>) {
    let first = plane * pixels + 4u * quad;
    y[first] = Elem(v.x);
    if 4u * quad + 1u < pixels {
        y[first + 1u] = Elem(v.y);
    }
    if 4u * quad + 2u < pixels {
        y[first + 2u] = Elem(v.z);
    }
    if 4u * quad + 3u < pixels {
        y[first + 3u] = Elem(v.w);
    }
}
