// Role planes: four neighbouring pixels of an image in, four values of a plane out, for images of any size. Beyond the end
// the last pixel is read again and nothing is written.

@group(0) @binding(1) var<storage, read> x: array<u32>; // [images, plane], 0xAABBGGRR
@group(0) @binding(2) var<storage, read_write> y: array<Elem>; // [3 images, plane]

fn planes_load(image: u32, quad: u32) -> vec4<u32> {
    let p = image * params.plane + min(4u * quad + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.plane - 1u));
    return vec4<u32>(x[p.x], x[p.y], x[p.z], x[p.w]);
}

fn planes_store(plane: u32, quad: u32, v: vec4<f32>) {
    let first = plane * params.plane + 4u * quad;
    y[first] = Elem(v.x);
    if 4u * quad + 1u < params.plane {
        y[first + 1u] = Elem(v.y);
    }
    if 4u * quad + 2u < params.plane {
        y[first + 2u] = Elem(v.z);
    }
    if 4u * quad + 3u < params.plane {
        y[first + 3u] = Elem(v.w);
    }
}
