//! scratch
use std::path::Path;
use ipc_protocol::Value;
fn main() {
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let mut words = line.split_whitespace();
        let (path, mode) = (words.next().unwrap(), words.next().unwrap());
        let raw = path.ends_with(".raw").then_some(nodes::audio_file::RawFormat { sample_rate_hz: 8000, channels: 1 });
        let audio = nodes::audio_file::read(Path::new(path), raw);
        let audio = match audio { Ok(a) => a, Err(e) => { println!("{path} ERR {e}"); continue } };
        let ty = nodes::registry::builtin().get("VADNode").unwrap();
        let streaming = mode == "stream";
        let p = serde_json::json!({"streaming": streaming});
        let mut node = (ty.build)(&nodes::check_params(ty, p.as_object().unwrap()).unwrap()).unwrap();
        let mut out = vec![];
        let t = std::time::Instant::now();
        if streaming {
            let n = audio.samples.shape[1] as usize; let mut at = 0;
            while at < n { let end=(at+777).min(n);
                let a = ipc_protocol::Array{ shape: vec![(end-at) as u64], data: audio.samples.data.to_bytes().slice(at*4..end*4).into(), ..audio.samples.clone()};
                node.process(Value::Audio(ipc_protocol::Audio{samples:a, sample_rate_hz: audio.sample_rate_hz}), &mut |v| out.push(v)).unwrap(); at=end; }
            node.flush(&mut |v| out.push(v)).unwrap();
        } else {
            let secs = audio.samples.shape[1] as f64/f64::from(audio.sample_rate_hz);
            node.process(Value::Audio(audio), &mut |v| out.push(v)).unwrap();
            eprintln!("{path} {:.1} us per 30 ms", t.elapsed().as_secs_f64()*1e6/secs*0.03);
        }
        let mut segs = String::new();
        for v in out { if let Value::List(l) = v { for s in l {
            let g=|k:&str| match s.get(k) { Some(Value::Int(n)) => n.to_string(), Some(Value::Float(f)) => format!("{f:.2}"), _ => "?".into() };
            segs += &format!(" {},{},{},{}", g("start_ms"), g("end_ms"), g("energy_db"), g("confidence")); } } }
        println!("{path}{segs}");
    }
}
