//! What a store promises when nothing goes wrong.

mod common;

use std::sync::Arc;

use common::{BLOCK, blocks, check, keep, namespace, options, sequence, store};
use docent_prefix::{DiskStorage, Options, Owner, Store};
use proptest::prelude::*;

#[test]
fn whole_blocks_and_as_much_as_pays_of_the_next_are_found_by_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = sequence(1, 3 * BLOCK + 5);
    let writer = store(dir.path());
    keep(&writer, &tokens, &[]);
    assert_eq!(writer.flush().n_blocks, 4);
    let reader = store(dir.path());
    for cut in 0..=tokens.len() {
        for cut_cost in [0, 3] {
            let mut prompt = tokens[..cut].to_vec();
            prompt.extend([u32::MAX; 3]);
            let found = reader.find(&namespace(), &prompt, cut_cost);
            check(&found, &prompt);
            let whole = cut / BLOCK * BLOCK;
            let is_end = cut == whole || cut == tokens.len();
            let pays = is_end || cut - whole > cut_cost;
            assert_eq!(found.n_tokens, if pays { cut } else { whole }, "cut at {cut} for {cut_cost}");
        }
    }
}

#[test]
fn what_was_given_is_found_before_it_is_written_and_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = sequence(1, 4 * BLOCK);
    let store = store(dir.path());
    keep(&store, &tokens, &[]);
    assert_eq!(store.find(&namespace(), &tokens, 0).n_tokens, tokens.len());
    keep(&store, &tokens, &[]);
    assert_eq!(store.flush().n_blocks, 4);
    keep(&store, &tokens, &[]);
    assert_eq!(store.flush().n_blocks, 0);
}

#[test]
fn a_longer_block_takes_the_place_of_a_shorter_one_that_begins_it() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = sequence(1, BLOCK);
    let store = store(dir.path());
    keep(&store, &tokens[..3], &[]);
    keep(&store, &tokens, &[]);
    store.flush();
    assert_eq!(store.status(&|owner| *owner).namespaces[0].n_blocks, 1);
    assert_eq!(store.find(&namespace(), &tokens[..5], 1).n_tokens, 5);
}

#[test]
fn what_belongs_to_an_owner_goes_with_all_behind_it_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (shared, mine, yours): (Owner, Owner, Owner) = ([1; 32], [2; 32], [3; 32]);
    let beginning = sequence(1, 2 * BLOCK);
    let longer = |seed: u32| [beginning.clone(), sequence(seed, 2 * BLOCK)].concat();
    let store = store(dir.path());
    let give = |tokens: &[u32], owner: Owner| {
        for (idx, mut block) in blocks(tokens, &[shared]).into_iter().enumerate() {
            if idx >= 2 {
                block.header.owners.push(owner);
            }
            store.keep(block);
        }
    };
    give(&longer(2), mine);
    give(&longer(3), yours);
    store.flush();
    assert_eq!(store.remove_owned(&|owner| *owner == mine).unwrap(), 2);
    assert_eq!(store.find(&namespace(), &longer(2), 0).n_tokens, 2 * BLOCK);
    assert_eq!(store.find(&namespace(), &longer(3), 0).n_tokens, 4 * BLOCK);
    assert_eq!(store.remove_owned(&|owner| *owner == shared).unwrap(), 4, "all, since all follow");
    assert_eq!(store.find(&namespace(), &longer(3), 0).n_tokens, 0);
}

#[test]
fn a_purged_store_is_empty_and_usable() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = sequence(1, 3 * BLOCK);
    let store = store(dir.path());
    keep(&store, &tokens, &[]);
    store.flush();
    assert_eq!(store.purge().unwrap(), 3);
    assert_eq!(store.find(&namespace(), &tokens, 0).n_tokens, 0);
    assert_eq!(store.status(&|owner| *owner).n_bytes, 0);
    keep(&store, &tokens, &[]);
    store.flush();
    assert_eq!(store.find(&namespace(), &tokens, 0).n_tokens, tokens.len());
}

#[test]
fn a_block_that_is_in_use_survives_its_removal() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = sequence(1, 2 * BLOCK);
    let writer = store(dir.path());
    keep(&writer, &tokens, &[]);
    writer.flush();
    let found = writer.find(&namespace(), &tokens, 0);
    store(dir.path()).purge().unwrap();
    check(&found, &tokens);
    assert_eq!(writer.find(&namespace(), &tokens, 0).n_tokens, 0, "gone for the next one");
}

#[test]
fn a_store_never_grows_beyond_its_size_and_what_was_used_lately_stays() {
    let dir = tempfile::tempdir().unwrap();
    // A block's file takes 4096 bytes of header and 830 of sections, and a little to align them.
    let room = 10 * 5_000;
    let small = || {
        let options = Options { max_bytes: Some(room), ..options() };
        Store::open(Arc::new(DiskStorage::new(dir.path())), options)
    };
    let used = sequence(99, 2 * BLOCK);
    let store = small();
    keep(&store, &used, &[]);
    store.flush();
    let mut n_evicted = 0;
    for seed in 0..20 {
        for _ in 0..3 {
            assert_eq!(store.find(&namespace(), &used, 0).n_tokens, used.len(), "after {seed} others");
        }
        let tokens = sequence(seed, 3 * BLOCK);
        keep(&store, &tokens, &[]);
        let written = store.flush();
        n_evicted += written.n_evicted_tokens;
        assert_eq!(written.failure, None);
        assert!(store.status(&|owner| *owner).n_bytes <= room, "{:?}", store.status(&|owner| *owner));
        assert_eq!(
            store.find(&namespace(), &tokens, 0).n_tokens,
            tokens.len(),
            "what was just written is there"
        );
    }
    assert!(n_evicted >= 10 * 3 * BLOCK, "{n_evicted}");
    // More than fits at all: the beginning is kept, and the size is kept too.
    let long = sequence(1_000, 30 * BLOCK);
    keep(&store, &long, &[]);
    assert!(store.flush().failure.is_some());
    assert!(store.status(&|owner| *owner).n_bytes <= room);
    let found = small().find(&namespace(), &long, 0);
    check(&found, &long);
    assert!(found.n_tokens >= 5 * BLOCK, "{}", found.n_tokens);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_kept_in_whatever_order_what_is_found_is_right_and_as_long_as_can_be(
        texts in proptest::collection::vec(proptest::collection::vec(0..3_u32, 1..40), 1..8),
        asked in proptest::collection::vec(0..3_u32, 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let writer = store(dir.path());
        texts.iter().for_each(|text| keep(&writer, text, &[]));
        writer.flush();
        let found = store(dir.path()).find(&namespace(), &asked, 0);
        check(&found, &asked);
        let common = |text: &Vec<u32>| text.iter().zip(&asked).take_while(|(a, b)| a == b).count();
        prop_assert_eq!(found.n_tokens, texts.iter().map(common).max().unwrap());
    }
}
