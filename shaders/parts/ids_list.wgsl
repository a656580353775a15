// Role ids: rows are listed. Binds ids.

@group(0) @binding(1) var<storage, read> ids: array<u32>; // [rows]

fn id_of(row: u32) -> u32 {
    return ids[row];
}
