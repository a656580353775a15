// Bytes of pixels to the planes of numbers that a vision tower reads, by channel c:
//
//     y[image, c, p] = (byte(x[image, p], c) * rescale - mean[c]) / std[c]
//
// One lane a pixel, which writes three planes; pixels of all images are numbered through.
//
// Parts: elem (Elem, the activation type)

struct Params {
    pixels: u32, // of all images
    plane: u32, // pixels of one image
    rescale: f32,
    mean_red: f32,
    mean_green: f32,
    mean_blue: f32,
    std_red: f32,
    std_green: f32,
    std_blue: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [images, plane], 0xAABBGGRR
@group(0) @binding(2) var<storage, read_write> y: array<Elem>; // [images, 3, plane]

override LANES: u32 = 64;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let pixel = (group.x + group.y * groups.x) * LANES + lane;
    if pixel >= params.pixels {
        return;
    }
    let bytes = (vec3<u32>(x[pixel]) >> vec3<u32>(0u, 8u, 16u)) & vec3<u32>(255u);
    let mean = vec3<f32>(params.mean_red, params.mean_green, params.mean_blue);
    let deviation = vec3<f32>(params.std_red, params.std_green, params.std_blue);
    let value = (vec3<f32>(bytes) * params.rescale - mean) / deviation;
    let first = pixel / params.plane * 3u * params.plane + pixel % params.plane;
    y[first] = Elem(value.x);
    y[first + params.plane] = Elem(value.y);
    y[first + 2u * params.plane] = Elem(value.z);
}
