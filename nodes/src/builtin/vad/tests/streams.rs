//! Tests of VADNode with pieces of one stream.

use super::*;

fn pieces(audio: &[f32], size: usize) -> impl Iterator<Item = Value> {
    audio.chunks(size).map(|piece| Value::Array(flat(piece.to_vec())))
}

#[test]
fn a_stream_gives_each_segment_once_with_absolute_times() {
    let voiced = [(500, 1_200), (2_000, 3_600), (4_500, 5_900)];
    let audio = speech(RATE, 6_000, &voiced, -65.0);
    let whole = spans(&run(node(json!({})).as_mut(), Value::Array(flat(audio.clone())))[0]);
    for size in [160, 777, 8_000, 96_000] {
        let mut node = node(json!({"streaming": true}));
        // Twice: after a flush the times begin at zero again.
        for _ in 0..2 {
            let mut found = Vec::new();
            for piece in pieces(&audio, size) {
                found.extend(run(node.as_mut(), piece).iter().flat_map(spans));
            }
            if size < 8_001 {
                assert_eq!(found.len(), 2, "finished segments come before the flush");
            }
            found.extend(flush(node.as_mut()).iter().flat_map(spans));
            assert_close(&found, &whole, 10);
        }
    }
}

#[test]
fn a_long_stream_forgets_what_it_has_told() {
    let mut node = node(json!({"streaming": true}));
    let minute: Vec<f32> =
        (0..20).flat_map(|_| speech(RATE, 3_000, &[(500, 1_200), (1_800, 2_600)], -70.0)).collect();
    let mut found = Vec::new();
    for piece in pieces(&minute, 1_600) {
        found.extend(run(node.as_mut(), piece).iter().flat_map(spans));
    }
    found.extend(flush(node.as_mut()).iter().flat_map(spans));
    let wanted: Vec<(i64, i64)> = (0..20)
        .flat_map(|i| {
            [(i * 3_000 + 500, i * 3_000 + 1_200), (i * 3_000 + 1_800, i * 3_000 + 2_600)]
        })
        .collect();
    assert_close(&found, &wanted, 20);
}

#[test]
fn a_tagged_stream_gives_every_piece_at_once() {
    let audio = speech(RATE, 3_000, &[(600, 1_500), (2_500, 3_000)], -70.0);
    let mut node = node(json!({"streaming": true, "output": "tagged"}));
    let mut frames = Vec::new();
    let mut segments = Vec::new();
    for piece in pieces(&audio, 4_800) {
        let out = run(node.as_mut(), piece.clone());
        assert_eq!(out.len(), 1);
        let Value::Tuple(parts) = &out[0] else { panic!() };
        assert_eq!(parts[0], piece);
        frames.push(int(&parts[2], "speech_frames"));
        assert_eq!(int(&parts[2], "total_frames"), 10);
        segments.extend(spans(parts[2].get("segments").unwrap()));
    }
    assert_eq!(frames.iter().filter(|n| **n >= 8).count(), 4, "{frames:?}");
    assert_eq!(frames[..2], [0, 0]);
    let last = flush(node.as_mut());
    let Value::Tuple(parts) = &last[0] else { panic!() };
    assert!(matches!(&parts[0], Value::Array(array) if array.shape == [0]));
    segments.extend(spans(parts[2].get("segments").unwrap()));
    assert_close(&segments, &[(600, 1_500), (2_500, 3_000)], 20);
    assert_eq!(flush(node.as_mut()), []);
}

#[test]
fn speech_that_never_pauses_comes_in_parts_of_ten_minutes() {
    // A tone of 200 Hz for eleven minutes.
    let audio: Vec<f32> = (0..660_000).map(|i| (2.0 * PI * 0.2 * i as f32).sin() * 0.5).collect();
    let whole =
        run(node(json!({"sample_rate": 1_000})).as_mut(), Value::Array(flat(audio.clone())));
    assert_close(&spans(&whole[0]), &[(0, 660_000)], 20);
    for piece in [660_000, 7_777] {
        let mut node = node(json!({"sample_rate": 1_000, "streaming": true}));
        let mut found = Vec::new();
        for samples in audio.chunks(piece) {
            found.extend(run(node.as_mut(), Value::Array(flat(samples.to_vec()))));
        }
        assert_eq!(found.iter().flat_map(spans).count(), 1, "given before the end");
        found.extend(flush(node.as_mut()));
        let found: Vec<_> = found.iter().flat_map(spans).collect();
        assert_close(&found, &[(0, 600_000), (600_000, 660_000)], 20);
        assert_eq!(found[0].1, found[1].0);
    }
}

#[test]
fn scores_give_the_same_segments_in_pieces_of_any_size() {
    let audio = speech(RATE, 5_000, &[(500, 1_400), (2_000, 3_600)], -50.0);
    for method in ["auto", "neural"] {
        for rate in [16_000, 44_100] {
            let params = json!({"method": method, "min_score": 0.1, "sample_rate": rate});
            let whole = run(build(params.clone()).as_mut(), Value::Array(flat(audio.clone())));
            let Value::List(whole) = &whole[0] else { panic!() };
            for size in [100, 777, 16_000] {
                let mut params = params.clone();
                params["streaming"] = json!(true);
                let mut node = build(params);
                let mut found = Vec::new();
                for piece in pieces(&audio, size) {
                    found.extend(run(node.as_mut(), piece));
                }
                found.extend(flush(node.as_mut()));
                let found: Vec<Value> = found
                    .into_iter()
                    .flat_map(|list| if let Value::List(list) = list { list } else { panic!() })
                    .collect();
                assert_eq!(found, *whole, "{method} at {rate} Hz in pieces of {size}");
            }
        }
    }
}

#[test]
fn a_tagged_stream_says_at_once_what_the_score_says_so_far() {
    let audio = speech(RATE, 3_000, &[(600, 1_500), (2_500, 3_000)], -60.0);
    let mut node = build(json!({"streaming": true, "output": "tagged", "method": "neural"}));
    for piece in pieces(&audio, 4_800) {
        let out = run(node.as_mut(), piece.clone());
        let Value::Tuple(parts) = &out[0] else { panic!() };
        assert_eq!((parts[0].clone(), int(&parts[2], "total_frames")), (piece, 10));
    }
}
