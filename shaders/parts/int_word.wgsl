// Role int: whole numbers of up to 32 bits, one a word, signed or not as the role elem says. Narrower ones (override
// BITS) wrap as they do. No barriers.

alias Int = Elem;

override BITS: u32 = 32;


fn int_power(x: Int, b: Int) -> Int {
    if b < Int(0) {
        let sign = select(x, Int(1), b % Int(2) == Int(0));
        return select(Int(0), sign, x == Int(1) || x + Int(1) == Int(0));
    }
    var square = x;
    var left = b;
    var y = Int(1);
    while left > Int(0) {
        y *= select(Int(1), square, left % Int(2) == Int(1));
        square *= square;
        left /= Int(2);
    }
    return y;
}

// Shifts take their count as a number without sign: a negative one is a large one.
fn int_up(x: Int, b: Int) -> Int {
    return select(x << (u32(b) & 31u), Int(0), u32(b) >= BITS);
}

fn int_down(x: Int, b: Int) -> Int {
    return select(x >> (u32(b) & 31u), (x >> 31u) >> 1u, u32(b) >= 32u);
}

// Of the smallest number by -1 drivers make what they like.
fn int_quotient(x: Int, b: Int) -> Int {
    return select(x / b, Int(0) - x, b < Int(0) && b + Int(1) == Int(0));
}

fn int_rest(x: Int, b: Int) -> Int {
    return select(x % b, Int(0), b == Int(0) || (b < Int(0) && b + Int(1) == Int(0)));
}

fn int_floored(x: Int, b: Int) -> Int {
    let r = int_rest(x, b);
    return select(r, r + b, r != Int(0) && (r < Int(0)) != (b < Int(0)));
}

fn int_value(x: Int, b: Int) -> Int {
    switch OP {
        case 1u: {
            return x - b;
        }
        case 2u: {
            return x * b;
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
            return max(x, b);
        }
        case 8u: {
            return min(x, b);
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
            return x + b;
        }
    }
}

fn value(x: Int, b: Int) -> Int {
    return (int_value(x, b) << (32u - BITS)) >> (32u - BITS);
}
