//! Tests of reading audio files: every format, and every way in which a file can be wrong.

use std::fs;
use std::path::{Path, PathBuf};

use ipc_protocol::Audio;
use tempfile::TempDir;

use super::{AudioFileError, RawFormat, read};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn planes(audio: &Audio) -> Vec<Vec<f32>> {
    let [channels, samples] = audio.samples.shape[..] else { panic!("{:?}", audio.samples.shape) };
    let all: Vec<f32> = audio
        .samples
        .data
        .as_slice()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    assert_eq!(all.len() as u64, channels * samples);
    all.chunks(usize::try_from(samples).unwrap().max(1)).map(<[f32]>::to_vec).collect()
}

/// Frequency, from the zero crossings in the middle half.
fn hz(plane: &[f32], rate_hz: u32) -> f64 {
    let middle = &plane[plane.len() / 4..plane.len() * 3 / 4];
    let crossings = middle.windows(2).filter(|w| w[0] <= 0.0 && w[1] > 0.0).count();
    crossings as f64 * f64::from(rate_hz) / middle.len() as f64
}

fn write_wav(path: &Path, spec: hound::WavSpec, samples: impl Iterator<Item = i32>) {
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for sample in samples {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
}

fn spec(channels: u16, sample_rate: u32, bits: u16) -> hound::WavSpec {
    hound::WavSpec {
        channels,
        sample_rate,
        bits_per_sample: bits,
        sample_format: hound::SampleFormat::Int,
    }
}

#[test]
fn flac_ogg_and_mp3_are_read() {
    for (name, tolerance) in [("tone.flac", 1e-3), ("tone.ogg", 0.02), ("tone.mp3", 0.02)] {
        let audio = read(&data(name), None).unwrap();
        assert_eq!(audio.sample_rate_hz, 16_000, "{name}");
        let planes = planes(&audio);
        assert_eq!(planes.len(), 2, "{name}");
        // MP3 decoding adds silence at both ends, unless the encoder recorded how much it added.
        let samples = planes[0].len();
        assert!((8_000..10_500).contains(&samples), "{name}: {samples} samples");
        assert!(name == "tone.mp3" || samples == 8_000, "{name}: {samples} samples");
        for (plane, wanted_hz) in planes.iter().zip([440.0, 880.0]) {
            let found_hz = hz(plane, 16_000);
            assert!((found_hz - wanted_hz).abs() < 10.0, "{name}: {found_hz} Hz");
            let middle = &plane[2_000..6_000];
            let power = middle.iter().map(|s| s * s).sum::<f32>() / middle.len() as f32;
            assert!((power.sqrt() - 0.3544).abs() < tolerance, "{name}: RMS {}", power.sqrt());
        }
    }
}

#[test]
fn wav_of_every_width_has_full_scale_one() {
    let folder = TempDir::new().unwrap();
    for bits in [8, 16, 24, 32] {
        let path = folder.path().join(format!("{bits}.wav"));
        let full = 1_i64 << (bits - 1);
        let samples = [0, full / 2, -full, -full / 4].map(|s| i32::try_from(s).unwrap());
        write_wav(&path, spec(2, 44_100, bits), samples.into_iter());
        let audio = read(&path, None).unwrap();
        assert_eq!(audio.sample_rate_hz, 44_100);
        assert_eq!(planes(&audio), [[0.0, -1.0], [0.5, -0.25]], "{bits} bits");
    }
}

#[test]
fn float_wav_is_exact_and_the_name_does_not_matter() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("recording.bin");
    let spec = hound::WavSpec { sample_format: hound::SampleFormat::Float, ..spec(1, 8_000, 32) };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for sample in [0.1_f32, -0.7, 1.5] {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    assert_eq!(planes(&read(&path, None).unwrap()), [[0.1, -0.7, 1.5]]);
}

#[test]
fn headerless_files_are_what_the_caller_says() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("speech.raw");
    let samples = [0_i16, 16_384, -32_768, 8_192];
    fs::write(&path, samples.map(i16::to_le_bytes).concat()).unwrap();
    let mono = read(&path, Some(RawFormat { sample_rate_hz: 8_000, channels: 1 })).unwrap();
    assert_eq!(mono.sample_rate_hz, 8_000);
    assert_eq!(planes(&mono), [[0.0, 0.5, -1.0, 0.25]]);
    let stereo = read(&path, Some(RawFormat { sample_rate_hz: 8_000, channels: 2 })).unwrap();
    assert_eq!(planes(&stereo), [[0.0, -1.0], [0.5, 0.25]]);
    let three = read(&path, Some(RawFormat { sample_rate_hz: 8_000, channels: 3 }));
    assert!(matches!(three, Err(AudioFileError::Corrupt { decoded_samples: 1, .. })), "{three:?}");
    let none = read(&path, Some(RawFormat { sample_rate_hz: 8_000, channels: 0 }));
    assert!(matches!(none, Err(AudioFileError::BadRawFormat { .. })), "{none:?}");
}

#[test]
fn what_is_missing_or_unreadable_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("absent.wav");
    let error = read(&path, None).unwrap_err();
    assert!(matches!(error, AudioFileError::NotFound { .. }), "{error:?}");
    assert!(error.to_string().contains("absent.wav"));
    let error = read(folder.path(), None).unwrap_err();
    assert!(matches!(error, AudioFileError::Io { .. }), "{error:?}");
}

#[test]
fn what_is_no_audio_is_refused_with_the_known_formats() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.wav");
    for text in ["x", "these are not the samples you are looking for\n"] {
        fs::write(&path, text.repeat(50)).unwrap();
        let error = read(&path, None).unwrap_err();
        assert!(matches!(error, AudioFileError::UnknownFormat { .. }), "{error:?}");
        assert!(error.to_string().contains("FLAC"), "{error}");
    }
}

#[test]
fn empty_files_and_empty_recordings_are_empty() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("empty.wav");
    fs::write(&path, b"").unwrap();
    let error = read(&path, None).unwrap_err();
    assert!(matches!(error, AudioFileError::Empty { .. }), "{error:?}");
    write_wav(&path, spec(1, 8_000, 16), std::iter::empty());
    let error = read(&path, None).unwrap_err();
    assert!(matches!(error, AudioFileError::Empty { .. }), "{error:?}");
}

#[test]
fn damaged_files_are_errors_and_not_half_recordings() {
    let folder = TempDir::new().unwrap();
    let flac = fs::read(data("tone.flac")).unwrap();
    let path = folder.path().join("damaged.flac");
    fs::write(&path, &flac[..flac.len() / 2]).unwrap();
    let error = read(&path, None).unwrap_err();
    assert!(matches!(error, AudioFileError::Corrupt { .. }), "{error:?}");
    let wav = folder.path().join("cut.wav");
    write_wav(&wav, spec(1, 8_000, 16), 0..8_000);
    let whole = fs::read(&wav).unwrap();
    fs::write(&wav, &whole[..whole.len() / 2]).unwrap();
    let error = read(&wav, None).unwrap_err();
    assert!(matches!(error, AudioFileError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_recording_of_unknown_length_is_read_to_its_end() {
    // A program that writes to a pipe cannot know the length beforehand.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("piped.wav");
    write_wav(&path, spec(1, 8_000, 16), 0..8_000);
    let mut bytes = fs::read(&path).unwrap();
    for (file_bytes, data_bytes) in [(u32::MAX, u32::MAX), (0x7fff_f024, 0x7fff_f000)] {
        bytes[4..8].copy_from_slice(&file_bytes.to_le_bytes());
        bytes[40..44].copy_from_slice(&data_bytes.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path, None).unwrap().samples.shape, [1, 8_000]);
    }
}
