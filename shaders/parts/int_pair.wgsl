// Role int: whole numbers of 64 bits as two words, the low one first; signed or not by the override SIGNED. Division
// is long division, a bit a step, where a number needs its upper word. No barriers.

alias Int = vec2<u32>;

override SIGNED: bool = true;

fn int_add(x: Int, b: Int) -> Int {
    let low = x.x + b.x;
    return Int(low, x.y + b.y + select(0u, 1u, low < x.x));
}

fn int_sub(x: Int, b: Int) -> Int {
    return Int(x.x - b.x, x.y - b.y - select(0u, 1u, x.x < b.x));
}

fn int_negative(x: Int) -> bool {
    return SIGNED && x.y >= 0x80000000u;
}

fn int_size(x: Int) -> Int {
    return select(x, int_sub(Int(0u), x), int_negative(x));
}

fn int_zero(x: Int) -> bool {
    return (x.x | x.y) == 0u;
}

fn int_below(x: Int, b: Int) -> bool {
    return x.y < b.y || (x.y == b.y && x.x < b.x);
}

fn int_less(x: Int, b: Int) -> bool {
    let flip = Int(0u, select(0u, 0x80000000u, SIGNED));
    return int_below(x ^ flip, b ^ flip);
}

// By halves of words: the upper word of a product of two words, and the rest modulo 2^64.
fn int_mul(x: Int, b: Int) -> Int {
    let xl = x.x & 0xffffu;
    let xh = x.x >> 16u;
    let bl = b.x & 0xffffu;
    let bh = b.x >> 16u;
    let middle = xh * bl + (xl * bl >> 16u);
    let other = xl * bh + (middle & 0xffffu);
    let high = xh * bh + (middle >> 16u) + (other >> 16u);
    return Int(x.x * b.x, high + x.x * b.y + x.y * b.x);
}

// Quotient and rest of sizes.
fn int_divide(x: Int, b: Int) -> vec4<u32> {
    if (x.y | b.y) == 0u {
        return vec4<u32>(x.x / b.x, 0u, x.x % b.x, 0u);
    }
    var quotient = x;
    var r = Int(0u);
    for (var n = 0u; n < 64u; n++) {
        // A rest that loses its top bit here is above any b.
        let carry = r.y >= 0x80000000u;
        r = Int((r.x << 1u) | (quotient.y >> 31u), (r.y << 1u) | (r.x >> 31u));
        quotient = Int(quotient.x << 1u, (quotient.y << 1u) | (quotient.x >> 31u));
        if carry || !int_below(r, b) {
            r = int_sub(r, b);
            quotient.x |= 1u;
        }
    }
    return vec4<u32>(quotient, r);
}

fn int_quotient(x: Int, b: Int) -> Int {
    let q = int_divide(int_size(x), int_size(b)).xy;
    return select(q, int_sub(Int(0u), q), int_negative(x) != int_negative(b));
}

fn int_rest(x: Int, b: Int) -> Int {
    let r = int_divide(int_size(x), int_size(b)).zw;
    return select(r, int_sub(Int(0u), r), int_negative(x));
}

fn int_floored(x: Int, b: Int) -> Int {
    let r = int_rest(x, b);
    return select(r, int_add(r, b), !int_zero(r) && int_negative(r) != int_negative(b));
}

fn int_power(x: Int, b: Int) -> Int {
    let one = Int(1u, 0u);
    if int_negative(b) {
        let sign = select(x, one, (b.x & 1u) == 0u);
        return select(Int(0u), sign, all(int_size(x) == one));
    }
    var square = x;
    var left = b;
    var y = one;
    while !int_zero(left) {
        if (left.x & 1u) == 1u {
            y = int_mul(y, square);
        }
        square = int_mul(square, square);
        left = Int((left.x >> 1u) | (left.y << 31u), left.y >> 1u);
    }
    return y;
}

// Shifts by parts, since a word is not shifted by 32.
fn int_up(x: Int, b: Int) -> Int {
    let n = b.x & 31u;
    let near = Int(x.x << n, (x.y << n) | ((x.x >> 1u) >> (31u - n)));
    let y = select(near, Int(0u, near.x), (b.x & 32u) != 0u);
    return select(y, Int(0u), b.y != 0u || b.x > 63u);
}

fn int_down(x: Int, b: Int) -> Int {
    let sign = select(0u, 0xffffffffu, int_negative(x));
    let n = b.x & 31u;
    let high = (x.y >> n) | ((sign << 1u) << (31u - n));
    let near = Int((x.x >> n) | ((x.y << 1u) << (31u - n)), high);
    let y = select(near, Int(high, sign), (b.x & 32u) != 0u);
    return select(y, Int(sign), b.y != 0u || b.x > 63u);
}

fn value(x: Int, b: Int) -> Int {
    switch OP {
        case 1u: {
            return int_sub(x, b);
        }
        case 2u: {
            return int_mul(x, b);
        }
        case 3u: {
            return int_quotient(x, b);
        }
        case 4u: {
            return int_rest(x, b);
        }
        case 5u: {
            return int_floored(x, b);
        }
        case 6u: {
            return int_power(x, b);
        }
        case 7u: {
            return select(x, b, int_less(x, b));
        }
        case 8u: {
            return select(b, x, int_less(x, b));
        }
        case 9u: {
            return x & b;
        }
        case 10u: {
            return x | b;
        }
        case 11u: {
            return x ^ b;
        }
        case 12u: {
            return int_up(x, b);
        }
        case 13u: {
            return int_down(x, b);
        }
        default: {
            return int_add(x, b);
        }
    }
}
