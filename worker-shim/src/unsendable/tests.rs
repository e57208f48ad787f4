//! Tests of the error messages about parts that cannot be sent.

use super::{Down, Reason, Said, Stop};

type Plain = Stop<&'static str>;

fn said(path: Option<&str>, type_name: Option<&str>) -> Said {
    Said {
        message: "whole".to_owned(),
        path: path.map(str::to_owned),
        type_name: type_name.map(str::to_owned),
        reason: Some("part".to_owned()),
    }
}

fn message(stop: Plain) -> String {
    stop.at_root("output", || "list".to_owned()).into_exception(|text| text.leak()).to_owned()
}

#[test]
fn the_path_leads_from_the_item_to_the_part() {
    let stop = Plain::unpicklable(said(Some(".lock"), Some("_thread.lock")), || "A".to_owned())
        .below(|| Down::Member)
        .below(|| Down::KeyItself("(1,)".to_owned()))
        .below(|| Down::Key("'x'".to_owned()))
        .below(|| Down::Index(2));
    assert_eq!(
        message(stop),
        "output[2]['x'] key (1,){element}.lock of type _thread.lock cannot be handed to another \
         process: part"
    );
}

#[test]
fn an_exception_that_names_no_place_is_about_the_object() {
    for (path, kind) in [(None, Some("B")), (Some(".lock"), None)] {
        let stop = Plain::unpicklable(said(path, kind), || "A".to_owned());
        let expected = "output of type A cannot be handed to another process: whole";
        assert_eq!(message(stop), expected);
    }
}

#[test]
fn what_is_not_about_the_object_is_raised_as_it_is() {
    let stop = Plain::here("A".to_owned(), Reason::Python("interrupt")).below(|| Down::Index(0));
    assert_eq!(message(stop), "interrupt");
}

#[test]
fn steps_are_made_for_failures_only() {
    let unused = || -> Down { unreachable!("nothing has failed") };
    assert_eq!(Plain::Cycle(7).below(unused), Plain::Cycle(7));
    assert_eq!(Plain::Depth.below(unused), Plain::Depth);
}
