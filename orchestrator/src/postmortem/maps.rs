//! Where a process had which file mapped, as the kernel writes it in `/proc/self/maps`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A piece of executable memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    start: u64,
    end: u64,
    /// Offset in the file of the first byte.
    offset: u64,
    pub(super) inode: u64,
    /// The file; `None` for memory without one.
    pub(super) path: Option<PathBuf>,
}

impl Mapping {
    pub(super) fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// The offset in the file of an address in this mapping.
    pub(super) fn file_offset(&self, address: u64) -> u64 {
        address.wrapping_sub(self.start).wrapping_add(self.offset)
    }
}

/// The executable mappings. Lines that cannot be read are left out.
pub(super) fn executable(maps: &[u8]) -> Vec<Mapping> {
    maps.split(|byte| *byte == b'\n').filter_map(mapping).collect()
}

/// A line such as `7f12a000-7f12c000 r-xp 00002000 fe:01 1234    /usr/lib/libc.so.6`.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let (start, end) = text()?.split_once('-')?;
    let permissions = text()?;
    let (offset, _device, inode) = (text()?, text()?, text()?);
    let name = fields.next().unwrap_or_default().trim_ascii();
    let hexadecimal = |digits| u64::from_str_radix(digits, 16).ok();
    let is_file = name.starts_with(b"/");
    permissions.contains('x').then_some(Mapping {
        start: hexadecimal(start)?,
        end: hexadecimal(end)?,
        offset: hexadecimal(offset)?,
        inode: inode.parse().ok()?,
        path: is_file.then(|| PathBuf::from(OsStr::from_bytes(name))),
    })
}

#[cfg(test)]
mod tests {
    use super::executable;

    const MAPS: &[u8] = b"\
55d3b8a00000-55d3b8a28000 r--p 00000000 fe:01 77                         /usr/bin/python3.11
55d3b8a28000-55d3b8c00000 r-xp 00028000 fe:01 77                         /usr/bin/python3.11
7f0000000000-7f0000001000 rwxp 00000000 00:00 0 
7f0000002000-7f0000003000 r-xp 00001000 fe:01 5                          /srv/two words/x.so (deleted)
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
no line at all
";

    #[test]
    fn executable_mappings_are_read_with_their_files() {
        let found = executable(MAPS);
        let paths: Vec<_> = found.iter().map(|m| m.path.as_ref()?.to_str()).collect();
        let expected =
            [Some("/usr/bin/python3.11"), None, Some("/srv/two words/x.so (deleted)"), None];
        assert_eq!(paths, expected);
        assert_eq!((found[0].inode, found[0].file_offset(0x55d3_b8a2_8010)), (77, 0x28010));
        assert!(found[0].holds(0x55d3_b8a2_8000) && !found[0].holds(0x55d3_b8c0_0000));
    }
}
