//! Towers that take pictures in their own sizes: a picture among others gives what it gives alone.

use omma::DType;
use omma::checkpoint::Config;
use omma::generate::{Session, SessionOptions, random_model};
use omma::gpu::{Device, OpenOptions};
use omma::models::{TowerInputs, names};
use std::sync::Arc;

/// Windows of 2 x 2 squares of 2 x 2 patches; the second layer sees the whole picture.
const QWEN: &str = r#"{"model_type": "qwen2_5_vl", "image_token_id": 39,
    "vision_config": {"depth": 2, "hidden_size": 48, "intermediate_size": 30, "num_heads": 2, "patch_size": 4,
        "window_size": 16, "fullatt_block_indexes": [1], "out_hidden_size": 32},
    "text_config": {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1,
        "num_hidden_layers": 1, "vocab_size": 40, "rope_scaling": {"type": "default", "mrope_section": [2, 3, 3]}}}"#;
const MISTRAL: &str = r#"{"model_type": "mistral3", "image_token_index": 39,
    "vision_config": {"model_type": "pixtral", "hidden_size": 48, "intermediate_size": 30, "num_attention_heads": 2,
        "num_hidden_layers": 2, "patch_size": 4, "image_size": 64},
    "text_config": {"model_type": "mistral", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2,
        "head_dim": 16, "num_key_value_heads": 1, "num_hidden_layers": 1, "vocab_size": 40}}"#;
/// Rounding of sums that another tile of a product groups differently, of values around 1.
const TOLERANCE: f32 = 2e-5;

async fn features(session: &mut Session, sizes: &[(usize, usize)]) -> Vec<f32> {
    // Values that depend on the place in the picture and on its size only.
    let picture = |(height, width): &(usize, usize)| {
        let (height, width) = (*height, *width);
        (0..3 * height * width).map(move |i| ((i * 37 + height * 11 + width) % 101) as f32 / 50.0 - 1.0)
    };
    let values: Vec<f32> = sizes.iter().flat_map(picture).collect();
    session.set_pixels(&values).await.unwrap();
    let inputs = TowerInputs { sizes: sizes.to_vec(), ..TowerInputs::default() };
    session.encode(&inputs, &|_| false).await.unwrap();
    session.read(names::FEATURES, &[session.feature_rows(), 32]).await.unwrap()
}

#[test]
fn a_picture_among_others_is_as_it_is_alone() {
    let sizes = [(24, 40), (56, 16), (8, 8), (24, 40)];
    pollster::block_on(async {
        let device = Device::open(&OpenOptions::default()).await.unwrap();
        for config in [QWEN, MISTRAL] {
            let config = Config::parse("config.json", config.as_bytes()).unwrap();
            let model = Arc::new(random_model(&device, config, DType::F32, 7).await.unwrap());
            let mut session = Session::new(model, SessionOptions::default());
            let together = features(&mut session, &sizes).await;
            let mut alone = Vec::new();
            for size in &sizes {
                alone.extend(features(&mut session, std::slice::from_ref(size)).await);
            }
            assert_eq!(together.len(), alone.len());
            let moved = together.iter().any(|v| (v - together[0]).abs() > 1e-3);
            assert!(moved, "features differ from one another");
            for (i, (a, b)) in together.iter().zip(&alone).enumerate() {
                assert!((a - b).abs() <= TOLERANCE * b.abs().max(1.0), "{i}: {a} among others, {b} alone");
            }
        }
    });
}
