//! One ELF file that a dead worker had mapped: how to get from one of its functions to the caller,
//! and what its functions are called. Only what is needed of it is read, and it is never mapped: it
//! may be changed at any moment.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use gimli::{
    BaseAddresses, EhFrame, EhFrameHdr, EhFrameOffset, LittleEndian, Pointer, UnwindContext,
    UnwindSection, UnwindTableRow,
};
use nix::libc;
use object::elf::{
    ELFMAG, FileHeader64, PT_GNU_EH_FRAME, PT_LOAD, ProgramHeader64, SHN_UNDEF, SHT_DYNSYM,
    SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, SectionHeader64, Sym64,
};
use object::pod::{self, Pod};

/// Tables of a file that are larger are not read, in bytes.
const MAX_TABLE_BYTES: u64 = 16 << 20;
/// The description of one function that is larger is not read, in bytes.
const MAX_ENTRY_BYTES: u64 = 1 << 20;
/// Longest name of a symbol, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Size of an address.
const WORD: u8 = 8;

/// The endianness of both machines that stacks are read of.
const ENDIAN: object::LittleEndian = object::LittleEndian;

/// A file that was mapped.
#[derive(Debug)]
pub(super) struct Library {
    file: File,
    segments: Vec<Segment>,
    /// The sorted table of descriptions of functions, and its address.
    frame_table: Option<(Vec<u8>, u64)>,
}

/// A part of a file, and the address that linkers give it.
#[derive(Debug, Clone, Copy)]
struct Segment {
    offset: u64,
    size: u64,
    address: u64,
}

impl Library {
    /// Opens a file; `None` if it is not the one that was mapped, or no ELF file of this machine.
    pub(super) fn open(path: &Path, inode: u64) -> Option<Self> {
        let is_it = |metadata: &Metadata| metadata.is_file() && metadata.ino() == inode;
        fs::metadata(path).ok().filter(is_it)?;
        // Does not wait for anything, whatever the path has come to mean meanwhile.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
        file.metadata().ok().filter(is_it)?;
        let header: FileHeader64<_> = one(&file, 0)?;
        if header.e_ident.magic != ELFMAG || header.e_ident.class != object::elf::ELFCLASS64 {
            return None;
        }
        let count = usize::from(header.e_phnum.get(ENDIAN));
        let programs: Vec<ProgramHeader64<_>> = many(&file, header.e_phoff.get(ENDIAN), count)?;
        let segment = |program: &ProgramHeader64<object::LittleEndian>| Segment {
            offset: program.p_offset.get(ENDIAN),
            size: program.p_filesz.get(ENDIAN),
            address: program.p_vaddr.get(ENDIAN),
        };
        let of_type =
            |wanted| programs.iter().filter(move |program| program.p_type.get(ENDIAN) == wanted);
        let segments: Vec<Segment> = of_type(PT_LOAD).map(segment).collect();
        let frame_table = of_type(PT_GNU_EH_FRAME).map(segment).next();
        let frame_table = frame_table.and_then(|table| {
            Some((bytes(&file, table.offset, table.size, MAX_TABLE_BYTES)?, table.address))
        });
        Some(Self { file, segments, frame_table })
    }

    /// The address that linkers give to a place in the file.
    pub(super) fn linked_address(&self, offset: u64) -> Option<u64> {
        let holds = |s: &&Segment| (s.offset..s.offset.saturating_add(s.size)).contains(&offset);
        let segment = self.segments.iter().find(holds)?;
        (offset - segment.offset).checked_add(segment.address)
    }

    fn file_offset(&self, address: u64) -> Option<u64> {
        let holds = |s: &&Segment| (s.address..s.address.saturating_add(s.size)).contains(&address);
        let segment = self.segments.iter().find(holds)?;
        (address - segment.address).checked_add(segment.offset)
    }

    /// Calls `take` with the unwind row (DWARF CFI) for an address, and whether the function there
    /// is the trampoline by which a signal handler returns.
    pub(super) fn with_row<T>(
        &self,
        address: u64,
        take: impl FnOnce(&UnwindTableRow<usize>, bool) -> Option<T>,
    ) -> Option<T> {
        let (table, table_address) = self.frame_table.as_ref()?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(*table_address);
        let header = EhFrameHdr::new(table, LittleEndian).parse(&bases, WORD).ok()?;
        let Pointer::Direct(entry_at) = header.table()?.lookup(address, &bases).ok()? else {
            return None;
        };
        let (section, entry) = self.entry(entry_at)?;
        let bases = BaseAddresses::default().set_eh_frame(entry_at.checked_sub(entry as u64)?);
        let mut frames = EhFrame::new(&section, LittleEndian);
        frames.set_address_size(WORD);
        let found = frames.fde_from_offset(&bases, EhFrameOffset(entry), EhFrame::cie_from_offset);
        let found = found.ok()?;
        let mut context = UnwindContext::new();
        let row = found.unwind_info_for_address(&frames, &bases, &mut context, address).ok()?;
        take(row, found.is_signal_trampoline())
    }

    /// A small section with the description of a function, and the one that it refers to in front.
    /// Returns where the first begins. The section of the file may have megabytes.
    fn entry(&self, address: u64) -> Option<(Vec<u8>, usize)> {
        let mut entry = self.entry_bytes(address)?;
        let back = u32::from_le_bytes(entry.get(4..8)?.try_into().ok()?);
        let common = self.entry_bytes(address.checked_add(4)?.checked_sub(u64::from(back))?)?;
        let start = common.len();
        // The distance between the two is part of the description.
        entry[4..8].copy_from_slice(&u32::try_from(start + 4).ok()?.to_le_bytes());
        Some(([common, entry].concat(), start))
    }

    fn entry_bytes(&self, address: u64) -> Option<Vec<u8>> {
        let offset = self.file_offset(address)?;
        let length = bytes(&self.file, offset, 4, 4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?);
        // More than 4 GiB are announced by the largest number, and refused.
        bytes(&self.file, offset, u64::from(length) + 4, MAX_ENTRY_BYTES)
    }

    /// The functions at these addresses: the name and the address of the first instruction.
    pub(super) fn symbols(&self, addresses: &[u64]) -> Vec<Option<(String, u64)>> {
        let found = self.symbols_at(addresses);
        found.unwrap_or_else(|| vec![None; addresses.len()])
    }

    fn symbols_at(&self, addresses: &[u64]) -> Option<Vec<Option<(String, u64)>>> {
        let (first, last) = (*addresses.iter().min()?, *addresses.iter().max()?);
        let (table, names_at) = self.symbol_table()?;
        let symbols: &[Sym64<_>] = entries(&table)?;
        let mut best: Vec<Option<&Sym64<_>>> = vec![None; addresses.len()];
        for symbol in symbols {
            let start = symbol.st_value.get(ENDIAN);
            let end = start.saturating_add(symbol.st_size.get(ENDIAN));
            // Most of many thousand symbols are left out here.
            if start > last || end <= first || !is_function(symbol) {
                continue;
            }
            for (best, at) in best.iter_mut().zip(addresses) {
                let is_nearer = |best: &Sym64<_>| best.st_value.get(ENDIAN) < start;
                if (start..end).contains(at) && best.is_none_or(is_nearer) {
                    *best = Some(symbol);
                }
            }
        }
        let name_of = |symbol: &Sym64<object::LittleEndian>| {
            let at = names_at.checked_add(symbol.st_name.get(ENDIAN).into())?;
            Some((self.text(at)?, symbol.st_value.get(ENDIAN)))
        };
        Some(best.into_iter().map(|best| best.and_then(name_of)).collect())
    }

    /// All symbols, or those for other libraries only in a file without the rest; and where their
    /// names are in the file.
    fn symbol_table(&self) -> Option<(Vec<u8>, u64)> {
        let header: FileHeader64<_> = one(&self.file, 0)?;
        let sections = header.e_shoff.get(ENDIAN);
        let sections: Vec<SectionHeader64<_>> =
            many(&self.file, sections, header.e_shnum.get(ENDIAN).into())?;
        let of_type = |wanted| {
            sections.iter().find(|section: &&SectionHeader64<object::LittleEndian>| {
                let size = section.sh_size.get(ENDIAN);
                section.sh_type.get(ENDIAN) == wanted && size <= MAX_TABLE_BYTES
            })
        };
        let table = of_type(SHT_SYMTAB).or_else(|| of_type(SHT_DYNSYM))?;
        let names = sections.get(usize::try_from(table.sh_link.get(ENDIAN)).ok()?)?;
        let (offset, size) = (table.sh_offset.get(ENDIAN), table.sh_size.get(ENDIAN));
        let bytes = bytes(&self.file, offset, size, MAX_TABLE_BYTES)?;
        Some((bytes, names.sh_offset.get(ENDIAN)))
    }

    fn text(&self, offset: u64) -> Option<String> {
        let mut name = [0; MAX_NAME_BYTES];
        let read = self.file.read_at(&mut name, offset).ok()?;
        let name = name[..read].split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

fn is_function(symbol: &Sym64<object::LittleEndian>) -> bool {
    let kinds = [STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE];
    symbol.st_shndx.get(ENDIAN) != SHN_UNDEF && kinds.contains(&symbol.st_info.st_type())
}

fn bytes(file: &File, offset: u64, size: u64, most: u64) -> Option<Vec<u8>> {
    if size > most {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

fn one<T: Pod + Clone>(file: &File, offset: u64) -> Option<T> {
    many(file, offset, 1)?.pop()
}

fn many<T: Pod + Clone>(file: &File, offset: u64, count: usize) -> Option<Vec<T>> {
    let size = u64::try_from(count.checked_mul(size_of::<T>())?).ok()?;
    let read = bytes(file, offset, size, MAX_TABLE_BYTES)?;
    Some(entries(&read)?.to_vec())
}

fn entries<T: Pod>(table: &[u8]) -> Option<&[T]> {
    Some(pod::slice_from_bytes(table, table.len() / size_of::<T>()).ok()?.0)
}
