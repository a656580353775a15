// Bytes of pixels to the planes of numbers that a vision tower reads, by channel c:
//
//     y[image, c, p] = (byte(x[image, p], c) * rescale - mean[c]) / std[c]
//
// A lane takes four neighbouring pixels at a time and writes them to three planes; workgroups stand in x for the pixels of
// an image and in y for images.
//
// Parts: elem (Elem, Elem4: the activation type), planes (x, y, planes_load, planes_store)

struct Params {
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
// x: 1, y: 2, both in their part

override LANES: u32 = 64;

fn normalized(words: vec4<u32>, place: u32, rescale: f32, mean: f32, deviation: f32) -> vec4<f32> {
    let bytes = (words >> vec4<u32>(place)) & vec4<u32>(255u);
    return (vec4<f32>(bytes) * rescale - mean) / deviation;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let image = group.y;
    // Read once: a uniform that is read in a loop which also stores is read each time.
    let plane = params.plane;
    let rescale = params.rescale;
    let mean = vec3<f32>(params.mean_red, params.mean_green, params.mean_blue);
    let deviation = vec3<f32>(params.std_red, params.std_green, params.std_blue);
    for (var quad = group.x * LANES + lane; 4u * quad < plane; quad += groups.x * LANES) {
        let words = planes_load(plane, image, quad);
        planes_store(plane, 3u * image, quad, normalized(words, 0u, rescale, mean.x, deviation.x));
        planes_store(plane, 3u * image + 1u, quad, normalized(words, 8u, rescale, mean.y, deviation.y));
        planes_store(plane, 3u * image + 2u, quad, normalized(words, 16u, rescale, mean.z, deviation.z));
    }
}
