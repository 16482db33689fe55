"""Stock programs and libraries with one fault in the middle of one function: a copy of the file, with a few bytes
of it changed. Build-id, layout and everything else are the distribution's, and nothing but the file is needed: so it
works where no debugger and no preloaded helper can, as in sshd's sandbox.

The place is given by a text that the function mentions there, which only some requests come by.
"""

import os
import shutil

from .elf import Elf

faults = {
    "null": bytes.fromhex("31c0 8b00"),  # xor %eax, %eax; mov (%rax), %eax: foreseen by the engine
    "wild": bytes.fromhex("b80000ff7f 8b00"),  # mov $0x7fff0000, %eax; mov (%rax), %eax: seen by the signal only
    "divide": bytes.fromhex("31c9 f7f9"),  # xor %ecx, %ecx; idiv %ecx
    "ud2": bytes.fromhex("0f0b"),
}


class Mutant:
    def __init__(self, original, folder, fault, text, inside=None, which=0):
        """`inside`: a text that the same function mentions, where `text` alone is not one function's;
        `which` of several mentions in it.
        """
        elf = Elf(original)
        places = elf.mentions(text)
        if inside:
            home = {elf.function_at(at) for at in elf.mentions(inside)}
            places = [at for at in places if elf.function_at(at) in home]
        self.address = places[which]
        self.entry, end = elf.function_at(self.address)
        code = faults[fault]
        if self.address + len(code) > end or len(code) > 7:
            raise ValueError("the fault does not fit")
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, os.path.basename(os.path.realpath(original)))
        shutil.copy(original, self.path)
        with open(self.path, "r+b") as f:
            f.seek(elf.offset_of(self.address))
            f.write(code)
