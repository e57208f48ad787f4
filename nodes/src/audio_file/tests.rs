//! Tests of reading audio files: every format, and every way in which a file can be wrong.

mod write;

use std::fs;
use std::path::{Path, PathBuf};

use ipc_protocol::Audio;
use tempfile::TempDir;

use super::{AudioFileError, Damage, RawFormat};
use crate::pcm::Encoding;

/// The audio of a file of which nothing is missing.
fn read(path: &Path, raw: Option<RawFormat>) -> Result<Audio, AudioFileError> {
    let recording = super::read(path, raw)?;
    assert_eq!(recording.damage, []);
    Ok(recording.audio)
}

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
    let mono = read(
        &path,
        Some(RawFormat { sample_rate_hz: 8_000, channels: 1, encoding: Encoding::I16 }),
    )
    .unwrap();
    assert_eq!(mono.sample_rate_hz, 8_000);
    assert_eq!(planes(&mono), [[0.0, 0.5, -1.0, 0.25]]);
    let stereo = read(
        &path,
        Some(RawFormat { sample_rate_hz: 8_000, channels: 2, encoding: Encoding::I16 }),
    )
    .unwrap();
    assert_eq!(planes(&stereo), [[0.0, -1.0], [0.5, 0.25]]);
    let three = read(
        &path,
        Some(RawFormat { sample_rate_hz: 8_000, channels: 3, encoding: Encoding::I16 }),
    );
    // The end of a frame is missing; what came before it is there.
    assert_eq!(three.unwrap().samples.shape, [3, 1]);
    let none = read(
        &path,
        Some(RawFormat { sample_rate_hz: 8_000, channels: 0, encoding: Encoding::I16 }),
    );
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
    write_wav(&path, spec(2, 8_000, 16), std::iter::empty());
    let audio = read(&path, None).unwrap();
    assert_eq!((audio.samples.shape, audio.sample_rate_hz), (vec![2, 0], 8_000));
}

#[test]
fn files_that_were_cut_off_give_what_they_have_and_say_what_is_missing() {
    let folder = TempDir::new().unwrap();
    let flac = fs::read(data("tone.flac")).unwrap();
    let path = folder.path().join("damaged.flac");
    fs::write(&path, &flac[..flac.len() / 8]).unwrap();
    let error = read(&path, None).unwrap_err();
    assert!(matches!(error, AudioFileError::Corrupt { decoded_samples: 0, .. }), "{error:?}");
    fs::write(&path, &flac[..flac.len() * 3 / 4]).unwrap();
    let recording = super::read(&path, None).unwrap();
    let [_, samples] = recording.audio.samples.shape[..] else { panic!() };
    assert!((1..8_000).contains(&samples), "{samples}");
    let [Damage::CutOff { missing, stated: 8_000, .. }] = recording.damage[..] else {
        panic!("{:?}", recording.damage)
    };
    assert_eq!(missing, 8_000 - samples);
    let path = folder.path().join("cut.wav");
    write_wav(&path, spec(1, 8_000, 16), 0..8_000);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2 + 1]).unwrap();
    let recording = super::read(&path, None).unwrap();
    assert_eq!(recording.audio.samples.shape, [1, 3_989]);
    let text = recording.damage[0].to_string();
    assert!(text.contains("cut.wav") && text.contains("8021 of 16000 bytes"), "{text}");
}

/// An AIFF file of one channel at 8 kHz: 1,000 samples of a half, then what is given.
fn aiff(after: &[u8]) -> Vec<u8> {
    let mut chunks = b"AIFFCOMM\0\0\0\x12\0\x01\0\0\x03\xe8\0\x10".to_vec();
    // 8,000 as an 80-bit float.
    chunks.extend([0x40, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0]);
    chunks.extend(b"SSND");
    chunks.extend(2_008_u32.to_be_bytes());
    chunks.extend([0; 8]);
    chunks.extend([0x40, 0].repeat(1_000));
    chunks.extend(after);
    [b"FORM", &u32::try_from(chunks.len()).unwrap().to_be_bytes()[..], &chunks].concat()
}

#[test]
fn aiff_files_that_were_cut_off_or_state_no_size_are_read_to_their_end() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.aiff");
    let whole = aiff(b"");
    fs::write(&path, &whole).unwrap();
    assert_eq!(planes(&read(&path, None).unwrap()), [[0.5; 1_000]]);
    fs::write(&path, &whole[..whole.len() - 1_001]).unwrap();
    let recording = super::read(&path, None).unwrap();
    assert_eq!(planes(&recording.audio), [[0.5; 499]]);
    let [Damage::CutOff { missing: 1_001, stated: 2_000, .. }] = recording.damage[..] else {
        panic!("{:?}", recording.damage)
    };
    // As ffmpeg begins one that it writes to a pipe.
    let mut piped = whole.clone();
    piped[4..8].fill(0);
    piped[42..46].fill(0);
    fs::write(&path, &piped).unwrap();
    assert_eq!(planes(&read(&path, None).unwrap()), [[0.5; 1_000]]);
    // The sound is whole, and what is behind it is not.
    fs::write(&path, aiff(b"ID3 \0\0\x01\0ID3")).unwrap();
    assert_eq!(planes(&read(&path, None).unwrap()), [[0.5; 1_000]]);
    // The same behind a tag.
    fs::write(&path, [b"ID3\x04\0\0\0\0\0\x04tags", &whole[..whole.len() - 1_000]].concat())
        .unwrap();
    assert_eq!(planes(&super::read(&path, None).unwrap().audio), [[0.5; 500]]);
}

#[test]
fn a_tag_behind_the_last_frame_of_a_flac_file_is_no_part_of_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tagged.flac");
    let plain = fs::read(data("tone.flac")).unwrap();
    let wanted = planes(&read(&data("tone.flac"), None).unwrap());
    let id3 = [&b"TAG"[..], &[0x20; 125]].concat();
    let half = |flags: u8| {
        let head = b"APETAGEX\xd0\x07\0\0\x28\0\0\0\x01\0\0\0\0\0\0".as_slice();
        [head, &[flags], &[0; 8]].concat()
    };
    let ape = [half(0xa0), vec![1; 8], half(0x80)].concat();
    for tag in [id3.clone(), ape.clone(), [ape, id3].concat()] {
        fs::write(&path, [plain.as_slice(), &tag].concat()).unwrap();
        assert_eq!(planes(&read(&path, None).unwrap()), wanted, "{tag:.8?}");
    }
}

/// A WAV file from its parts: sizes of file and data as the header states them.
fn wav(name: &[u8; 4], file_bytes: u32, format: &[u8], data_bytes: u32, rest: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(file_bytes.to_le_bytes());
    bytes.extend(b"WAVE");
    if name != b"RIFF" {
        bytes.extend(b"ds64");
        bytes.extend(28_u32.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(2_000_u64.to_le_bytes());
        bytes.extend([0; 12]);
    }
    bytes.extend(b"fmt ");
    bytes.extend(u32::try_from(format.len()).unwrap().to_le_bytes());
    bytes.extend(format);
    bytes.extend(b"data");
    bytes.extend(data_bytes.to_le_bytes());
    bytes.extend(rest);
    bytes
}

/// The format chunk of mono at 8 kHz.
fn format(code: u16, bytes: u16, bits: u16, more: &[u8]) -> Vec<u8> {
    let mut chunk = [code.to_le_bytes(), 1_u16.to_le_bytes()].concat();
    chunk.extend(8_000_u32.to_le_bytes());
    chunk.extend((8_000 * u32::from(bytes)).to_le_bytes());
    chunk.extend(bytes.to_le_bytes());
    chunk.extend(bits.to_le_bytes());
    chunk.extend(more);
    chunk
}

#[test]
fn sizes_in_the_header_may_be_wrong() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sizes.wav");
    let pcm = format(1, 2, 16, &[]);
    let audio = [0x40_u8, 0x20].repeat(1_000);
    for file_bytes in [0, 1, 28, 2_028, 2_036, 0x7fff_f024, u32::MAX] {
        for data_bytes in [0, 2_000, u32::MAX] {
            fs::write(&path, wav(b"RIFF", file_bytes, &pcm, data_bytes, &audio)).unwrap();
            let samples = read(&path, None).unwrap().samples;
            assert_eq!(samples.shape, [1, 1_000], "{file_bytes} {data_bytes}");
        }
    }
    for name in [b"RF64", b"BW64"] {
        let rest = [audio.as_slice(), b"LIST\x04\0\0\0INFO"].concat();
        fs::write(&path, wav(name, u32::MAX, &pcm, u32::MAX, &rest)).unwrap();
        assert_eq!(read(&path, None).unwrap().samples.shape, [1, 1_000]);
    }
    // No audio, but another chunk behind it.
    let list = b"LIST\x04\0\0\0INFO";
    fs::write(&path, wav(b"RIFF", 48, &pcm, 0, list)).unwrap();
    assert_eq!(read(&path, None).unwrap().samples.shape, [1, 0]);
}

#[test]
fn format_chunks_may_be_long_or_extensible() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("formats.wav");
    let guid = |code: u16| {
        let code = code.to_le_bytes();
        let more = [22, 0, 16, 0, 4, 0, 0, 0, code[0], code[1], 0, 0, 0, 0, 16, 0, 128, 0, 0, 170];
        [more.as_slice(), &[0, 56, 155, 113]].concat()
    };
    let half: [(Vec<u8>, Vec<u8>); 9] = [
        (format(1, 2, 16, &[0; 4]), 16_384_i16.to_le_bytes().to_vec()),
        (format(1, 2, 16, &[0; 2]), 16_384_i16.to_le_bytes().to_vec()),
        (format(0xfffe, 2, 16, &guid(1)), 16_384_i16.to_le_bytes().to_vec()),
        (format(0xfffe, 4, 32, &guid(3)), 0.5_f32.to_le_bytes().to_vec()),
        (format(3, 8, 64, &[]), 0.5_f64.to_le_bytes().to_vec()),
        (format(1, 3, 20, &[]), vec![0, 0, 0x40]),
        (format(1, 4, 32, &[]), 0x4000_0000_i32.to_le_bytes().to_vec()),
        (format(1, 1, 8, &[]), vec![192]),
        (format(3, 4, 32, &[0; 2]), 0.5_f32.to_le_bytes().to_vec()),
    ];
    for (chunk, sample) in half {
        let bytes = u32::try_from(sample.len()).unwrap();
        fs::write(&path, wav(b"RIFF", 0, &chunk, bytes, &sample)).unwrap();
        assert_eq!(planes(&read(&path, None).unwrap()), [[0.5]], "{chunk:?}");
    }
    // G.711: the loudest and the softest values of both laws.
    for (code, bytes, wanted) in [
        (6, [0xaa, 0x2a, 0xd5, 0x55], [32_256.0, -32_256.0, 8.0, -8.0]),
        (7, [0x80, 0x00, 0xff, 0x7f], [32_124.0, -32_124.0, 0.0, 0.0]),
    ] {
        fs::write(&path, wav(b"RIFF", 0, &format(code, 1, 8, &[0; 2]), 4, &bytes)).unwrap();
        let wanted: Vec<f32> = wanted.iter().map(|value| value / 32_768.0).collect();
        assert_eq!(planes(&read(&path, None).unwrap()), [wanted], "{code}");
    }
    let mut silent = format(1, 2, 16, &[]);
    silent[4..8].fill(0);
    fs::write(&path, wav(b"RIFF", 0, &silent, 2, &[0; 2])).unwrap();
    let error = read(&path, None).unwrap_err();
    assert!(matches!(error, AudioFileError::BadRate { rate_hz: 0, .. }), "{error:?}");
}

#[test]
fn tags_of_megabytes_are_no_audio() {
    let folder = TempDir::new().unwrap();
    let mut recorded = Vec::new();
    for name in ["tone.mp3", "tone.flac", "tone.wav"] {
        let plain = folder.path().join(name);
        if name == "tone.wav" {
            write_wav(&plain, spec(1, 8_000, 16), 0..4_000);
        } else {
            fs::copy(data(name), &plain).unwrap();
        }
        recorded.push((name, fs::read(&plain).unwrap()));
    }
    for (name, bytes) in recorded {
        let path = folder.path().join(format!("tagged-{name}"));
        let plain = folder.path().join(name);
        let wanted = read(&plain, None).unwrap().samples.shape;
        for flags in [0_u8, 0x80] {
            let size = 2_u32 << 20;
            let sizes = [21, 14, 7, 0].map(|shift| u8::try_from(size >> shift & 0x7f).unwrap());
            let mut tagged = [b"ID3\x04\0".as_slice(), &[flags], &sizes].concat();
            // A picture whose bytes look like frames of MP3.
            tagged.extend([0xff, 0xfb, 0x90, 0x64].iter().cycle().take(2 << 20));
            tagged.extend(&bytes);
            fs::write(&path, tagged).unwrap();
            assert_eq!(read(&path, None).unwrap().samples.shape, wanted, "{name}");
        }
    }
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
