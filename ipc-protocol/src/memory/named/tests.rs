//! Tests of segment names: their form, and names that are already in use.

use super::*;

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn a_name_that_is_taken_is_replaced_by_another() {
    let taken = Named::create(4096).unwrap();
    let Ok(Ticket::Name(name)) = taken.ticket() else { unreachable!("a named segment has a name") };
    let mut tries = 0;
    let names = || {
        tries += 1;
        if tries < 3 { name.clone() } else { new_name() }
    };
    let other = Named::create_as(4096, names).unwrap();
    assert_eq!(tries, 3);
    assert_ne!(taken.start, other.start);
    let none = Named::create_as(4096, || name.clone()).map(|_| ()).unwrap_err();
    assert_eq!(none.kind(), io::ErrorKind::AlreadyExists);
    assert!(open_descriptor(&name).is_ok(), "a clash leaves the name to its owner");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn our_names_are_told_from_others() {
    let own = new_name();
    assert_eq!(creator_of(&own), Some(std::process::id()), "{own}");
    assert!(own.len() <= 30, "{own} is too long for some systems");
    let others = [
        "",
        "remotemedia-",
        "remotemedia-1-2",
        "remotemedia-1-2-abcde",
        "remotemedia-1-2-abcdeg",
        "remotemedia-1-2-abcdef-",
        "remotemedia-1-2-abcdef/",
        "remotemedia--2-abcdef",
        "remotemedia-+1-2-abcdef",
        "remotemedia-1--abcdef",
        "remotemedia-99999999999-2-abcdef",
        "/remotemedia-1-2-abcdef",
        "../remotemedia-1-2-abcdef",
        "remotemedia-1-2-abc\0ef",
        "other-1-2-abcdef",
    ];
    for name in others {
        assert_eq!(creator_of(name), None, "{name:?}");
        assert!(Named::open(name, 4096).is_err(), "{name:?}");
    }
}
