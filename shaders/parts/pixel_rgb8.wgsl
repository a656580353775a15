// Role pixel: three channels of 8 bits in a word, 0xAABBGGRR, summed with weights of 22 fractional bits.
//
// Promise: exact integers. Sums of byte times weight stay within an i32, as Pillow's do: the weights of one
// output sum to 2^22, and the negative lobes of its filters add less than half of that.

const PIXEL_HALF: i32 = 1 << 21u;

// Channels at these bit positions, red first; (0, 8, 16) for RGBA words, (16, 8, 0) for BGRA.
fn pixel_channels(word: u32, shifts: vec3<u32>) -> vec3<i32> {
    return vec3<i32>((vec3<u32>(word) >> shifts) & vec3<u32>(255u));
}

// Sums in fixed point, which started at PIXEL_HALF, to an opaque RGBA word.
fn pixel_word(sum: vec3<i32>) -> u32 {
    let bytes = vec3<u32>(clamp(sum >> vec3<u32>(22u), vec3<i32>(0), vec3<i32>(255)));
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | 0xff000000u;
}
