//! scratch
use ipc_protocol::*;
fn node(name:&str,p: serde_json::Value)->Box<dyn nodes::Node>{ let ty = nodes::registry::builtin().get(name).unwrap(); (ty.build)(&nodes::check_params(ty, p.as_object().unwrap()).unwrap()).unwrap() }
fn arr(v: Vec<f32>)->Value{ let n=v.len() as u64; Value::Array(Array{dtype:Dtype{descr:"<f4".into(),item_bytes:4},shape:vec![n],order:Order::C,scalar:false,data:v.iter().flat_map(|x|x.to_le_bytes()).collect::<Vec<u8>>().into()})}
fn f(v:&Value)->Vec<f32>{ let Value::Array(a)=v else{panic!()}; a.data.as_slice().as_chunks::<4>().0.iter().map(|b|f32::from_le_bytes(*b)).collect()}
fn db(s:&[f32])->f64{let m=&s[s.len()/4..s.len()*3/4]; let p=m.iter().map(|x|f64::from(*x).powi(2)).sum::<f64>()/m.len() as f64; 10.0*(2.0*p+1e-30).log10()}
fn sine(r:u32,hz:f64,n:usize)->Vec<f32>{(0..n).map(|i|(2.0*std::f64::consts::PI*hz*i as f64/f64::from(r)).sin() as f32).collect()}
fn main(){
  for (from,to) in [(48000,16000),(44100,16000),(16000,48000),(44100,48000),(44101,48000)] { for q in ["low","medium","high"] {
    let p=serde_json::json!({"target_rate":to,"input_rate":from,"quality":q});
    let x=arr(sine(from,1000.0,10*from as usize));
    let mut n=node("ResampleNode",p.clone());
    let t=std::time::Instant::now(); n.process(arr(sine(from,1000.0,100)),&mut |_|{}).unwrap(); let cold=t.elapsed();
    let t=std::time::Instant::now(); let mut k=0; for _ in 0..3 {n.process(x.clone(),&mut |v| k+=f(&v).len()).unwrap();} let warm=t.elapsed().as_secs_f64()*1000.0/30.0;
    let ny=f64::from(from.min(to))/2.0; let mut worst=-999.0f64; let mut rip=0.0f64; let mut edge=0.0; let mut edge01=0.0;
    for i in 0..40 { let hz=ny*(1.0+ f64::from(i)*0.02); if from>to && hz<f64::from(from)/2.0 { let mut o=vec![]; n.process(arr(sine(from,hz,from as usize)),&mut |v|o=f(&v)).unwrap(); worst=worst.max(db(&o)); } }
    for i in 1..=100 { let fr=f64::from(i)*0.01; let mut o=vec![]; n.process(arr(sine(from,ny*fr,from as usize)),&mut |v|o=f(&v)).unwrap(); let d=db(&o).abs(); if fr<=0.9001 {rip=rip.max(d);} if d<0.1 {edge01=fr;} if d<3.0 {edge=fr;} }
    println!("{from}->{to} {q}: {warm:.3} ms/s, cold {:.2} ms, stop {worst:.1} dB, ripple<=0.9 {rip:.4} dB, 0.1 dB to {edge01}, 3 dB to {edge}", cold.as_secs_f64()*1e3);
  }}
  for (from,to,name) in [("<i2",2,"i16->f32"),("<f4",4,"f32->i16")] { let bytes=vec![1u8;1_000_000*to]; let a=Value::Array(Array{dtype:Dtype{descr:from.into(),item_bytes:to as u32},shape:vec![1_000_000],order:Order::C,scalar:false,data:bytes.into()});
    let mut n=node("FormatConverterNode",serde_json::json!({"target_format": if to==2 {"f32"} else {"i16"}})); for _ in 0..3 { let t=std::time::Instant::now(); n.process(a.clone(),&mut |_|{}).unwrap(); println!("{name} 1M {:.0} us", t.elapsed().as_secs_f64()*1e6);} }
  let mut n=node("VADNode",serde_json::json!({"sample_rate":48000})); let x=arr(sine(48000,300.0,48000*10)); let t=std::time::Instant::now(); n.process(x,&mut |_|{}).unwrap(); println!("vad 48k {:.1} us/30ms", t.elapsed().as_secs_f64()*1e6/10.0*0.03);
}
