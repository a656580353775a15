//! The demo model's net with small random weights: pictures to features and tokens as PyTorch computes them
//! (tools/demo-model/golden.py).

mod support;

use omma::generate::{GenerateOptions, Request, Session};
use omma::models::names;
use support::{Golden, own_device, sizes};

#[test]
fn features_and_answers_are_those_of_pytorch() {
    let device = own_device(false);
    for sample in 0..2 {
        let golden = Golden::new("omma_demo", sample);
        let model = pollster::block_on(golden.load(&device)).unwrap();
        let pictures = golden.host_pictures(&model);
        let tiles = pictures[0].plan.tiles.len();
        assert_eq!(tiles, [4, 0][sample], "one picture is sliced, the other is not");
        let mut session = Session::new(model.clone(), sizes());
        let rows = 9 * (tiles + 1);
        let width = model.spec.decoder.as_ref().unwrap().width;
        let features = pollster::block_on(async {
            let inputs = session.preprocess(&pictures).await?;
            session.encode(&inputs, &support::nothing).await?;
            session.read(names::ENCODED, &[rows, width]).await
        });
        golden.check("features", &features.unwrap());
        let options = GenerateOptions { max_new_tokens: 16, ..Default::default() };
        let mut session = Session::new(model, sizes());
        let request = Request::new(pictures, golden.question());
        let answer = pollster::block_on(session.answer(&request, &options, |_| {})).unwrap();
        assert_eq!(answer.ids, golden.generated());
    }
}
