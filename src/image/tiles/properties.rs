//! What holds for every policy, every setting and every size: tiles cover the canvas once, counts add up, caps are kept,
//! nothing panics.

use super::*;
use proptest::prelude::*;

fn tilings() -> Vec<Tiling> {
    let names = Policy::names().into_iter().filter(|name| *name != "auto");
    let named = names.map(|name| Tiling::named(name.parse().unwrap()).unwrap());
    let more = [
        Tiling::AnyRes(AnyRes::onevision(9)),
        Tiling::Idefics2(Idefics2 { split: true, ..Idefics2::default() }),
        Tiling::Idefics3(Idefics3 { split: false, ..Idefics3::default() }),
        Tiling::Fuyu(Fuyu { bound: Some((1920, 1080)), ..Fuyu::default() }),
        Tiling::MiniCpmV(MiniCpmV::v4_6(16, 448, 14, 4)),
        Tiling::InternVl(InternVl { tile: (448, 224), min: 3, ..InternVl::default() }),
        Tiling::Mllama(Mllama { tile: 56, max: 9, patch: 14 }),
    ];
    named.chain(more).collect()
}

/// Sides that break things: small ones, around multiples of tiles, any, and the largest.
fn side() -> impl Strategy<Value = u32> {
    prop_oneof![
        1u32..64,
        (1u32..40, 0u32..3).prop_map(|(n, off)| n * 336 + off - 1),
        1u32..70_000,
        any::<u32>(),
        Just(0),
        Just(u32::MAX),
        Just(MAX_SIDE),
    ]
}

fn check(plan: &TilePlan) -> std::result::Result<(), TestCaseError> {
    let total: u64 = plan.order.iter().map(Segment::tokens).sum();
    let tokens = plan.tokens;
    prop_assert_eq!(tokens.total, total);
    prop_assert_eq!(tokens.total, tokens.tiles + tokens.overview + tokens.separators);
    let (width, height) = (plan.canvas.width, plan.canvas.height);
    if plan.tiles.is_empty() {
        prop_assert!(plan.overview.is_some() && plan.grid.is_none());
    } else {
        let grid = plan.grid.unwrap_or((0, 0));
        prop_assert_eq!(plan.tiles.len() as u64, u64::from(grid.0) * u64::from(grid.1));
        let area = |t: &Tile| u64::from(t.area.width) * u64::from(t.area.height);
        prop_assert_eq!(plan.tiles.iter().map(area).sum::<u64>(), u64::from(width) * u64::from(height));
        // Row by row without gaps: each tile starts where its neighbours end.
        for (i, tile) in plan.tiles.iter().enumerate() {
            let (row, column) = (i / grid.0 as usize, i % grid.0 as usize);
            let a = tile.area;
            prop_assert!(a.x + a.width <= width && a.y + a.height <= height && a.width > 0 && a.height > 0);
            let left = if column == 0 { 0 } else { plan.tiles[i - 1].area.x + plan.tiles[i - 1].area.width };
            let above = plan.tiles.get(i.wrapping_sub(grid.0 as usize)).filter(|_| row > 0);
            prop_assert_eq!((a.x, a.y), (left, above.map_or(0, |t| t.area.y + t.area.height)));
            prop_assert!(tile.out.0 > 0 && tile.out.1 > 0);
        }
    }
    // The picture lies on a canvas that pads it; only `none` and `pad` crop.
    if !matches!(plan.policy, Policy::None | Policy::Pad | Policy::Monkey) {
        let (x, y) = (i64::from(-plan.canvas.x), i64::from(-plan.canvas.y));
        prop_assert!(x >= 0 && x + i64::from(plan.resized.0) <= i64::from(width), "{}", plan);
        prop_assert!(y >= 0 && y + i64::from(plan.resized.1) <= i64::from(height), "{}", plan);
    }
    for segment in &plan.order {
        if let Segment::Map(map) = segment {
            let kept = map.kept;
            prop_assert!(kept.x + kept.width <= map.full.0 && kept.y + kept.height <= map.full.1);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_size_gives_a_sound_plan_or_an_error(which in 0..tilings().len(), width in side(), height in side()) {
        let tiling = &tilings()[which];
        if let Ok(plan) = tiling.plan(width, height) {
            check(&plan)?;
            prop_assert_eq!(Ok(plan), tiling.plan(width, height), "not the same twice");
        }
    }

    #[test]
    fn caps_are_kept(which in 0..tilings().len(), width in 1u32..20_000, height in 1u32..20_000, most in 1u64..6000) {
        let tiling = &tilings()[which];
        match tiling.plan_within(width, height, most) {
            Ok(plan) => {
                check(&plan)?;
                prop_assert!(plan.tokens.total <= most);
                let free = tiling.plan(width, height).unwrap();
                prop_assert_eq!(plan.choice.is_none(), free.tokens.total <= most);
            }
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }

    #[test]
    fn any_settings(max in 1u32..5000, size in 1u32..70_000, patch in 1u32..70_000, width in side(), height in side()) {
        let all = (Some(max), Some(size), Some(patch));
        for policy in [
            Policy::Uhd { max: all.0, size: all.1, patch: all.2 },
            Policy::UhdPaper { max: all.0, size: all.1, patch: all.2 },
            Policy::AnyRes { max: all.0 },
        ] {
            if let Some(plan) = Tiling::named(policy).ok().and_then(|t| t.plan(width, height).ok()) {
                check(&plan)?;
            }
        }
    }

    #[test]
    fn windows_hold_every_token_once(columns in 1u32..60, rows in 1u32..60, window in 1u32..20) {
        let rule = Native { window: Some(window), ..Native::default() };
        let (mut order, ends) = rule.window_order((columns, rows));
        prop_assert!(ends.windows(2).all(|w| w[0] < w[1] && w[1] - w[0] <= window * window));
        prop_assert_eq!(ends.last().copied(), Some(columns * rows));
        order.sort_unstable();
        prop_assert_eq!(order, (0..columns * rows).collect::<Vec<_>>());
    }
}
