//! Encoded pictures that are asked about again: in one session, in another, from files, and after damage.

mod support;

use omma::generate::{GenerateOptions, PictureCache, Pixels, Request, Session, SessionOptions};
use std::sync::Arc;
use support::{Golden, own_device};

fn ask(session: &mut Session, pictures: Vec<Pixels>, question: &str) -> Vec<u32> {
    let options = GenerateOptions { max_new_tokens: 6, ..Default::default() };
    let request = Request::new(pictures, question);
    pollster::block_on(session.answer(&request, &options, |_| {})).unwrap().ids
}

fn sizes(cache: Option<&Arc<PictureCache>>) -> SessionOptions {
    SessionOptions { context: 256, max_new: 8, pictures: cache.cloned(), ..Default::default() }
}

#[test]
fn a_picture_is_encoded_once() {
    let device = own_device(false);
    let golden = Golden::new("llava15_gqa", 1);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let pictures = golden.host_pictures(&model);
    assert_eq!(pictures.len(), 2, "the sample has two");
    let plain = |order: &[usize], question: &str| {
        let own = order.iter().map(|i| pictures[*i].clone()).collect();
        ask(&mut Session::new(model.clone(), sizes(None)), own, question)
    };
    let folder = std::env::temp_dir().join(format!("omma-pictures-{}", std::process::id()));
    let cache = Arc::new(PictureCache::with_folder(1 << 20, &folder));
    let mut session = Session::new(model.clone(), sizes(Some(&cache)));
    assert_eq!(ask(&mut session, vec![pictures[0].clone()], "what is it?"), plain(&[0], "what is it?"));
    assert_eq!((cache.counts().hits, cache.counts().misses, cache.counts().pictures), (0, 1, 1));
    // Another session; one of two pictures is known, and stands behind the new one.
    let mut other = Session::new(model.clone(), sizes(Some(&cache)));
    let own = vec![pictures[1].clone(), pictures[0].clone()];
    assert_eq!(ask(&mut other, own, "and these?"), plain(&[1, 0], "and these?"));
    assert_eq!((cache.counts().hits, cache.counts().misses), (1, 2));
    pollster::block_on(other.save_pictures()).unwrap();

    // As another process would: only the files are there.
    let fresh = Arc::new(PictureCache::with_folder(1 << 20, &folder));
    let mut third = Session::new(model.clone(), sizes(Some(&fresh)));
    let own = vec![pictures[0].clone(), pictures[1].clone()];
    assert_eq!(ask(&mut third, own, "and these?"), plain(&[0, 1], "and these?"));
    assert_eq!((fresh.counts().hits, fresh.counts().misses), (2, 0));

    for file in std::fs::read_dir(&folder).unwrap().flatten() {
        let mut bytes = std::fs::read(file.path()).unwrap();
        let last = bytes.len() - 5;
        bytes[last] ^= 1;
        std::fs::write(file.path(), bytes).unwrap();
    }
    let damaged = Arc::new(PictureCache::with_folder(1 << 20, &folder));
    let mut fourth = Session::new(model.clone(), sizes(Some(&damaged)));
    assert_eq!(ask(&mut fourth, vec![pictures[0].clone()], "what is it?"), plain(&[0], "what is it?"));
    assert_eq!((damaged.counts().hits, damaged.counts().misses), (0, 1));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_budget_holds() {
    let device = own_device(false);
    let golden = Golden::new("llava15_gqa", 1);
    let model = pollster::block_on(golden.load(&device)).unwrap();
    let pictures = golden.host_pictures(&model);
    let one = model.feature_rows(&pictures[..1]).unwrap() as u64;
    let width = model.spec.decoder.as_ref().unwrap().width as u64;
    let cache = Arc::new(PictureCache::new(4 * one * width + 3));
    let mut session = Session::new(model, sizes(Some(&cache)));
    ask(&mut session, pictures, "two?");
    assert_eq!((cache.counts().pictures, cache.counts().bytes), (1, 4 * one * width));
    cache.clear();
    assert_eq!(cache.counts().pictures, 0);
}
