//! What a session still does after one of its runs has failed.

use std::sync::Arc;

use ipc_protocol::Value;
use orchestrator::options::OpenOptions;
use orchestrator::session::{Inputs, Session};
use orchestrator::{Config, Error, Manifest, Runtime};

use super::quiet::Quiet;

const DOUBLE: &str = r#"{"version": "v1", "nodes": [{"id": "double", "node_type": "CalculatorNode",
    "params": {"operation": "multiply", "operand": 2}}]}"#;

struct Items(std::vec::IntoIter<Value>);

impl Inputs for Items {
    fn next(&mut self) -> Result<Option<Value>, Error> {
        Ok(self.0.next())
    }
}

fn run(session: &mut Session, items: Vec<Value>) -> Result<Vec<Value>, Error> {
    let mut items = Items(items.into_iter());
    let outputs = session.run(Some(&mut items), &mut Quiet).map_err(|failed| failed.error)?;
    Ok(outputs.into_iter().map(|output| output.value).collect())
}

#[test]
fn a_session_stays_usable_after_a_failed_run() {
    // spec: IOP-25
    let runtime = Arc::new(Runtime::new(Config::default()));
    let manifest = Manifest::parse(DOUBLE).unwrap();
    let mut session =
        Session::open(&runtime, &manifest, OpenOptions::default(), &mut Quiet).unwrap();
    let bad = vec![Value::from("no number"), Value::Int(1)];
    assert!(matches!(run(&mut session, bad), Err(Error::Node(_))));
    let output = session.process(Value::Int(3), &mut Quiet).unwrap().remove(0);
    assert_eq!(output.value, Value::Int(6));
    assert_eq!(run(&mut session, vec![Value::Int(4)]).unwrap(), [Value::Int(8)]);
    assert!(session.close(&mut Quiet).failures.is_empty());
}
