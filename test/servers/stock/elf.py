"""As much of ELF as is needed to find a function in a stripped x86-64 file: by its exported name, or by a text it
mentions; its bounds are those of the call frame information.
"""

import bisect
import struct

STT_FUNC = 2


class Elf:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is no 64-bit ELF file")
        self._sections()
        self.functions = self._functions()  # sorted (start, end), virtual addresses
        self._starts = [start for start, _ in self.functions]

    def _sections(self):
        offset, = struct.unpack_from("<Q", self.data, 0x28)
        size, count, names_at = struct.unpack_from("<HHH", self.data, 0x3A)
        headers = [struct.unpack_from("<IIQQQQIIQQ", self.data, offset + i * size) for i in range(count)]
        names = headers[names_at][4]
        self.sections = {}  # name -> (address, file offset, size)
        for name, _, _, address, at, length, *_ in headers:
            end = self.data.index(b"\0", names + name)
            self.sections[self.data[names + name:end].decode()] = (address, at, length)

    def content(self, section):
        _, at, size = self.sections[section]
        return self.data[at:at + size]

    def offset_of(self, address):
        """Where in the file a virtual address of a section with contents lies."""
        for start, at, size in self.sections.values():
            if start and start <= address < start + size:
                return at + address - start
        raise ValueError(f"no section holds {address:#x}")

    def _functions(self):
        """From the sorted table of .eh_frame_hdr (Linux Standard Base, 10.6.2)."""
        base, at, _ = self.sections[".eh_frame_hdr"]
        if self.data[at:at + 4] != b"\x01\x1b\x03\x3b":
            raise ValueError("unusual .eh_frame_hdr")
        count, = struct.unpack_from("<I", self.data, at + 8)
        found = []
        for i in range(count):
            start, entry = struct.unpack_from("<ii", self.data, at + 12 + 8 * i)
            length, = struct.unpack_from("<I", self.data, self.offset_of(base + entry) + 12)
            found.append((base + start, base + start + length))
        return sorted(found)

    def function_at(self, address):
        """(start, end) of the function that holds an address."""
        start, end = self.functions[bisect.bisect_right(self._starts, address) - 1]
        if not start <= address < end:
            raise ValueError(f"no function holds {address:#x}")
        return start, end

    def exported(self, name):
        """Address of an exported function."""
        symbols, strings = self.content(".dynsym"), self.content(".dynstr")
        for at in range(0, len(symbols), 24):
            text, info, _, _, value, _ = struct.unpack_from("<IBBHQQ", symbols, at)
            if value and info & 15 == STT_FUNC and strings[text:strings.index(b"\0", text)] == name.encode():
                return value
        raise ValueError(f"no exported function {name}")

    def mentions(self, text):
        """Addresses of the `lea text(%rip), register` of a text."""
        data, _, _ = self.sections[".rodata"]
        at = self.content(".rodata").find(b"\0" + text.encode() + b"\0")
        if at < 0:
            raise ValueError(f"no text {text!r}")
        wanted = data + at + 1
        code, (start, _, _) = self.content(".text"), self.sections[".text"]
        found = []
        at = code.find(b"\x8d")
        while at >= 0:
            # REX.W, 8d, mod 00 and r/m 101: %rip and a displacement
            if at > 0 and code[at - 1] & 0xF8 == 0x48 and code[at + 1] & 0xC7 == 5 and at + 6 <= len(code):
                if start + at + 6 + struct.unpack_from("<i", code, at + 2)[0] == wanted:
                    found.append(start + at - 1)
            at = code.find(b"\x8d", at + 1)
        return found
