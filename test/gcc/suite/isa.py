"""Processor features: GCC's names for them, and what this machine has."""

# GCC's option or effective target -> flag in /proc/cpuinfo, where they differ; the rest is the same
# name. The order is the order of families in reports, the newest last.
_kernel_names = {
    "mmx": "mmx", "3dnow": "3dnow", "3dnowa": "3dnowext", "sse": "sse", "sse2": "sse2", "sse3": "pni",
    "ssse3": "ssse3", "sse4a": "sse4a", "sse4": "sse4_1", "sse4.1": "sse4_1", "sse4.2": "sse4_2",
    "popcnt": "popcnt", "crc32": "sse4_2", "lzcnt": "abm", "abm": "abm", "movbe": "movbe", "aes": "aes",
    "pclmul": "pclmulqdq", "sha": "sha_ni", "bmi": "bmi1", "bmi2": "bmi2", "tbm": "tbm", "adx": "adx",
    "fsgsbase": "fsgsbase", "rdrnd": "rdrand", "rdseed": "rdseed", "rtm": "rtm", "lwp": "lwp",
    "mwaitx": "mwaitx", "clzero": "clzero", "pku": "ospke", "rdpid": "rdpid", "waitpkg": "waitpkg",
    "xsave": "xsave", "xsavec": "xsavec", "xsaveopt": "xsaveopt", "xsaves": "xsaves", "shstk": "user_shstk",
    "f16c": "f16c", "avx": "avx", "fma": "fma", "fma4": "fma4", "xop": "xop", "avx2": "avx2",
    "gfni": "gfni", "vaes": "vaes", "vpclmul": "vpclmulqdq", "vpclmulqdq": "vpclmulqdq",
    "avxvnni": "avx_vnni", "avx512f": "avx512f", "avx512er": "avx512er", "avx512pf": "avx512pf",
    "avx512cd": "avx512cd", "avx512vl": "avx512vl", "avx512bw": "avx512bw", "avx512dq": "avx512dq",
    "avx5124fmaps": "avx512_4fmaps", "avx5124vnniw": "avx512_4vnniw", "avx512ifma": "avx512ifma",
    "avx512vbmi": "avx512vbmi", "avx512vbmi2": "avx512_vbmi2", "avx512vnni": "avx512_vnni",
    "avx512bitalg": "avx512_bitalg", "avx512vpopcntdq": "avx512_vpopcntdq",
    "avx512vpopcntdqvl": "avx512_vpopcntdq", "avx512vaes": "vaes", "avx512bf16": "avx512_bf16",
    "avx512vp2intersect": "avx512_vp2intersect", "avx512fp16": "avx512_fp16",
    "amx_tile": "amx_tile", "amx_int8": "amx_int8", "amx_bf16": "amx_bf16",
}
_order = list(_kernel_names)


def machine_flags():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        return next(set(line.split()) for line in file if line.startswith("flags"))


def _plain(name):
    return name.removesuffix("_runtime").removesuffix("_hw").replace("-", "_")


def is_feature(name):
    return _plain(name) in _kernel_names


def of_option(option):
    """The feature that a compiler option switches on, or None: -mavx2, not -mno-avx2 or -mtune=..."""
    name = _plain(option[2:]) if option.startswith("-m") else ""
    return name if name in _kernel_names else None


def missing(features, flags):
    """Those of the features that a machine with these flags does not have."""
    return sorted(f for f in features if _kernel_names[_plain(f)] not in flags)


def family(features):
    """What a test is counted as: the newest of its features."""
    return max((_plain(f) for f in features), key=_order.index, default="base")
