// Role random: Philox 4x32-10 (Salmon et al. 2011), four random words of a counter and a key. No state: the same
// counter gives the same words on every device. Uses mul_high of the role wide.

fn random_words(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round++) {
        let high = vec2<u32>(mul_high(0xd2511f53u, c.x), mul_high(0xcd9e8d57u, c.z));
        let low = vec2<u32>(0xd2511f53u * c.x, 0xcd9e8d57u * c.z);
        c = vec4<u32>(high.y ^ c.y ^ k.x, low.y, high.x ^ c.w ^ k.y, low.x);
        k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}
