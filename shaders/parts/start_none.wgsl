// Role start: sums of integers start with 0.

fn sum_start(n: u32) -> i32 {
    return 0i;
}
