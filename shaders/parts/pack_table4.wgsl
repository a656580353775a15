// Role pack: codes of 4 bits into a table of bitsandbytes, two a byte, the first in the high bits, and max |x| of each
// block as f32. A code is that of the entry nearest to x / max |x|. The first lane writes the table as well.

// Not 0: FP4, else NF4.
override P_FLOAT: u32 = 0;

const PACK_STEP = 1u;

const PACK_NORMAL = array<f32, 16>(
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
);

// The sizes of FP4 by code; codes from 8 on are negative.
const PACK_FLOAT = array<f32, 8>(0.0, 0.0052083334885537624, 0.6666666865348816, 1.0, 0.3333333432674408, 0.5,
    0.1666666716337204, 0.25);

fn pack_bytes() -> u32 {
    return params.values / 2u;
}

fn pack_entry(code: u32) -> f32 {
    let size = PACK_FLOAT[code & 7u];
    return select(PACK_NORMAL[code & 15u], select(size, -size, code > 7u), P_FLOAT != 0u);
}

fn pack_code(value: f32) -> u32 {
    var best = 0u;
    for (var code = 1u; code < 16u; code++) {
        if abs(value - pack_entry(code)) < abs(value - pack_entry(best)) {
            best = code;
        }
    }
    return best;
}

fn pack_block(block: u32, first: u32) {
    if block == 0u {
        for (var code = 0u; code < 16u; code++) {
            y[params.table + code] = bitcast<u32>(pack_entry(code));
        }
    }
    var most = 0.0;
    for (var i = 0u; i < params.values; i++) {
        most = max(most, abs(x[first + i]));
    }
    y[params.magnitudes + block] = bitcast<u32>(most);
    let divisor = select(1.0, most, most > 0.0);
    for (var i = 0u; i < params.values; i += 2u) {
        stream_u8((pack_code(x[first + i] / divisor) << 4u) | pack_code(x[first + i + 1u] / divisor));
    }
}
