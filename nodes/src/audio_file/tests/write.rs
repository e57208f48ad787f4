//! Tests of writing audio files, of files in pieces, and of Opus and AAC.

use std::fs;
use std::path::Path;

use ipc_protocol::{Array, Order};
use tempfile::TempDir;

use crate::audio_file::write::header;
use crate::audio_file::{AudioFileError, Damage, FileFormat, Pieces, Reader, Writer, read};
use crate::builtin::samples::{self, Element};
use crate::pcm::Encoding;

fn format(channels: u16, encoding: Encoding) -> FileFormat {
    FileFormat { sample_rate_hz: 8_000, channels, encoding, is_raw: false }
}

fn ramp(channels: u64, count: u64) -> Array {
    let step = 2.0 / (channels * count) as f32;
    let all: Vec<f32> = (0..channels * count).map(|n| 0.9 * (n as f32 * step - 1.0)).collect();
    samples::array_of(all, Element::F32, vec![channels, count], Order::C)
}

fn floats(array: &Array) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(array.data.as_slice())
}

fn written(path: &Path, format: FileFormat, pieces: &[Array]) {
    let mut writer = Writer::create(path, format).unwrap();
    for piece in pieces {
        writer.write(piece.clone()).unwrap();
    }
    writer.finish().unwrap();
}

// spec: DSG-26
#[test]
fn what_is_written_is_read_again() {
    let folder = TempDir::new().unwrap();
    for encoding in Encoding::ALL {
        for (channels, count) in [(1, 501), (2, 500), (6, 33), (2, 0)] {
            let path = folder.path().join("written.wav");
            let array = ramp(channels, count);
            let channels = u16::try_from(channels).unwrap();
            written(&path, format(channels, encoding), std::slice::from_ref(&array));
            let recording = read(&path, None).unwrap();
            assert_eq!(recording.damage, [], "{encoding:?}");
            assert_eq!(recording.audio.samples.shape, array.shape, "{encoding:?}");
            assert_eq!(recording.audio.sample_rate_hz, 8_000);
            let most = match encoding {
                Encoding::F32 | Encoding::F64 => 0.0,
                Encoding::ALaw | Encoding::MuLaw => 0.03,
                other => 0.501 * 2_f32.powi(1 - other.integer_bits().unwrap().cast_signed()),
            };
            for (a, b) in floats(&recording.audio.samples).iter().zip(floats(&array)) {
                assert!((a - b).abs() <= most, "{encoding:?}: {a} for {b}");
            }
        }
    }
}

#[test]
fn pieces_are_written_one_after_the_other() {
    let folder = TempDir::new().unwrap();
    let (path, whole) = (folder.path().join("pieces.wav"), folder.path().join("whole.wav"));
    let all = ramp(1, 1_000);
    let part = |from: usize, to: usize| {
        let some = floats(&all)[from..to].to_vec();
        samples::array_of(some, Element::F32, vec![to as u64 - from as u64], Order::C)
    };
    written(&path, format(1, Encoding::U8), &[part(0, 7), part(7, 7), part(7, 1_000)]);
    written(&whole, format(1, Encoding::U8), std::slice::from_ref(&all));
    assert_eq!(fs::read(path).unwrap(), fs::read(whole).unwrap());
}

#[test]
fn a_recording_that_was_not_finished_can_be_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.wav");
    let mut writer = Writer::create(&path, format(1, Encoding::I16)).unwrap();
    writer.write(ramp(1, 20_000)).unwrap();
    drop(writer);
    let recording = read(&path, None).unwrap();
    assert_eq!((recording.audio.samples.shape, recording.damage), (vec![1, 20_000], vec![]));
}

#[test]
fn a_file_beyond_four_gibibytes_states_its_longer_sizes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("long.wav");
    let bytes = (5 << 30) + 6;
    let long = header(format(3, Encoding::I16), Some(bytes));
    assert_eq!((&long[..4], long.len()), (b"RF64".as_slice(), 104));
    fs::write(&path, [long, vec![1; 600]].concat()).unwrap();
    let recording = read(&path, None).unwrap();
    assert_eq!(recording.audio.samples.shape, [3, 100]);
    let [Damage::CutOff { missing, stated, .. }] = recording.damage[..] else { panic!() };
    assert_eq!((missing, stated), (bytes - 600, bytes));
    let short = header(format(3, Encoding::I16), Some(600));
    assert_eq!((&short[..4], short.len()), (b"RIFF".as_slice(), 104));
}

#[test]
fn other_channels_and_no_file_are_errors_that_name_the_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("two.wav");
    let mut writer = Writer::create(&path, format(2, Encoding::I16)).unwrap();
    let error = writer.write(ramp(1, 10)).unwrap_err();
    assert!(matches!(error, AudioFileError::NoSamples { .. }), "{error:?}");
    assert!(error.to_string().contains("two.wav") && error.to_string().contains("channel count"));
    let missing = folder.path().join("missing").join("a.wav");
    let error = Writer::create(&missing, format(1, Encoding::I16)).unwrap_err();
    assert!(matches!(error, AudioFileError::CannotWrite { .. }), "{error:?}");
    let error = Writer::create(&path, format(0, Encoding::I16)).unwrap_err();
    assert!(matches!(error, AudioFileError::BadWriteFormat { .. }), "{error:?}");
}

#[test]
fn pieces_of_a_file_are_the_whole_file() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for name in ["tone.flac", "tone.mp3", "tone.opus", "tone.m4a"] {
        let whole = read(&data.join(name), None).unwrap().audio.samples;
        let mut pieces = Pieces::new(Reader::open(&data.join(name), None).unwrap());
        let channels = pieces.channels();
        let mut planes = vec![Vec::new(); channels];
        let mut lengths = Vec::new();
        while let Some(audio) = pieces.next(1_000).unwrap() {
            let count = usize::try_from(audio.samples.shape[1]).unwrap();
            lengths.push(count);
            for (plane, piece) in planes.iter_mut().zip(floats(&audio.samples).chunks(count)) {
                plane.extend_from_slice(piece);
            }
        }
        assert_eq!(planes.concat(), floats(&whole), "{name}");
        let (last, full) = lengths.split_last().unwrap();
        assert!(full.iter().all(|length| *length == 1_000) && (1..=1_000).contains(last));
        assert_eq!(pieces.next(1_000).unwrap(), None);
    }
}

/// Samples by ffmpeg 5.1: `ffmpeg -i FILE -f f32le - | wc -c`, per channel.
#[test]
fn opus_and_aac_have_the_samples_that_ffmpeg_finds() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    // The length of a frame of the codec that a decoder may give more or less.
    const AAC: u64 = 1_024;
    for (name, channels, rate_hz, samples, frame, level) in [
        ("tone.opus", 2, 48_000, 72_000, 0, 0.0625),
        ("voice.opus", 1, 48_000, 33_600, 0, 0.088),
        ("six.opus", 6, 48_000, 24_000, 0, 0.0361),
        ("tone.m4a", 1, 44_100, 66_560, AAC, 0.088),
        ("tone.aac", 1, 44_100, 67_584, AAC, 0.088),
        ("alac.m4a", 1, 8_000, 1_600, 0, 0.0884),
    ] {
        let recording = read(&data.join(name), None).unwrap();
        assert_eq!(recording.damage, [], "{name}");
        let [found_channels, found] = recording.audio.samples.shape[..] else { panic!() };
        assert_eq!((found_channels, recording.audio.sample_rate_hz), (channels, rate_hz), "{name}");
        assert!(found.abs_diff(samples) <= frame, "{name}: {found} of {samples} samples");
        let all = floats(&recording.audio.samples);
        let rms = (all.iter().map(|x| x * x).sum::<f32>() / all.len() as f32).sqrt();
        assert!((rms / level - 1.0).abs() < 0.03, "{name}: level {rms}");
    }
}

#[test]
fn damaged_opus_gives_what_it_has() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("damaged.opus");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tone.opus");
    let bytes = fs::read(data).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    if let Ok(recording) = read(&path, None) {
        assert!(recording.audio.samples.shape[1] <= 72_000);
    }
    // Any byte of the identification header may be wrong.
    for at in 28..47 {
        for value in [0, 1, 0x7f, 0xff] {
            let mut wrong = bytes.clone();
            wrong[at] = value;
            fs::write(&path, &wrong).unwrap();
            if let Err(error) = read(&path, None) {
                assert!(error.to_string().contains("damaged.opus"), "{error}");
            }
        }
    }
}
