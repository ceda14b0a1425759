"""Builds the extension piecemill._piecemill: lib/**/*.c, cli/*.c and bindings/python/src/*.c in one go, without configure.

Environment:
  PIECEMILL_WITH_PCRE2, _ZLIB, _ZSTD, _YAJL, _UTF8PROC   yes (fail when it is missing), no, or auto (the default)
  PIECEMILL_SYSTEM=1   link an installed libpiecemill (found by pkg-config) instead of compiling lib/ and cli/
  PIECEMILL_ABI3=1     build for the stable ABI of Python 3.11 and later; slower on text that is not ASCII (see text.c)
  CC, CFLAGS, LDFLAGS  as usual; PKG_CONFIG names the program

Metadata is in pyproject.toml. The list of sources is what lies in the folders; a test holds it against Makefile.am's.
"""

import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = os.path.dirname(os.path.abspath(__file__))
FLAGS = ["-std=gnu11", "-fvisibility=hidden", "-ffp-contract=off", "-pthread"]
FLAGS += [] if "-O" in os.environ.get("CFLAGS", "") else ["-O2"]
BUILD = "build/python"
ABI3 = os.environ.get("PIECEMILL_ABI3") == "1"
SYSTEM = os.environ.get("PIECEMILL_SYSTEM") == "1"

# name: (pkg-config module, library, a program that needs it)
LIBRARIES = {
    "PCRE2": ("libpcre2-8", "pcre2-8", "#define PCRE2_CODE_UNIT_WIDTH 8\n#include <pcre2.h>\n"
              "int main(void) { char v[64]; return pcre2_config(PCRE2_CONFIG_VERSION, v) < 0; }"),
    "ZLIB": ("zlib", "z", "#include <zlib.h>\nint main(void) { return zlibVersion()[0] == 0; }"),
    "ZSTD": ("libzstd", "zstd", "#include <zstd.h>\nint main(void) { return ZSTD_versionNumber() == 0; }"),
    "YAJL": ("yajl", "yajl", "#include <yajl/yajl_parse.h>\n#include <yajl/yajl_version.h>\n"
             "int main(void) { return yajl_version() == 0; }"),
    "PROTOBUF": ("libprotobuf-c", "protobuf-c", "#include <protobuf-c/protobuf-c.h>\nint main(void) { return protobuf_c_version_number() == 0; }"),
    "UTF8PROC": ("libutf8proc", "utf8proc", "#include <utf8proc.h>\nint main(void) { return utf8proc_version()[0] == 0; }"),
}


def sources():
    """The C files of the extension, relative to the root, sorted."""
    patterns = ["bindings/python/src/*.c"] if SYSTEM else ["bindings/python/src/*.c", "cli/*.c", "lib/**/*.c"]
    found = {os.path.relpath(path, ROOT) for pattern in patterns for path in glob.glob(os.path.join(ROOT, pattern), recursive=True)}
    return sorted(path.replace(os.sep, "/") for path in found - {os.path.join("cli", "main.c")})


def headers():
    patterns = ["bindings/python/src/*.h", "cli/*.h", "lib/**/*.h"]
    return sorted(os.path.relpath(path, ROOT) for pattern in patterns
                  for path in glob.glob(os.path.join(ROOT, pattern), recursive=True))


def version():
    with open(os.path.join(ROOT, "lib", "include", "piecemill.h"), encoding="utf-8") as header:
        return re.search(r'PM_VERSION_STRING "([^"]+)"', header.read()).group(1)


def pkg_config(module):
    """(flags to compile, flags to link) or None."""
    command = [os.environ.get("PKG_CONFIG", "pkg-config")]
    try:
        return tuple(shlex.split(subprocess.run(command + [word, module], check=True, capture_output=True, text=True).stdout)
                     for word in ("--cflags", "--libs"))
    except (OSError, subprocess.CalledProcessError):
        return None


class BuildExt(build_ext):
    """Looks for the libraries, compiles the files side by side, and leaves alone the objects that are up to date."""

    def links(self, program, compile_flags, link_flags):
        """Whether a small program compiles and links."""
        command = shlex.split(os.environ.get("CC") or " ".join(self.compiler.compiler[:1]))
        extra = [shlex.split(os.environ.get(name, "")) for name in ("CFLAGS", "CPPFLAGS", "LDFLAGS")]
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "try.c")
            with open(source, "w", encoding="utf-8") as file:
                file.write(program + "\n")
            command += [*extra[0], *extra[1], *compile_flags, source, "-o", os.path.join(folder, "try"), *extra[2], *link_flags]
            return subprocess.run(command, capture_output=True).returncode == 0

    def probe(self, name):
        """(flags to compile, flags to link) of a library, or None when it is not to be used."""
        module, library, program = LIBRARIES[name]
        wish = os.environ.get("PIECEMILL_WITH_" + name, "auto")
        if wish not in ("yes", "no", "auto"):
            sys.exit(f"setup.py: PIECEMILL_WITH_{name} must be yes, no or auto, not {wish!r}")
        if wish == "no":
            return None
        for flags in (pkg_config(module), ([], ["-l" + library])):
            if flags and self.links(program, *flags):
                return flags
        if wish == "yes":
            sys.exit(f"setup.py: PIECEMILL_WITH_{name}=yes, but {module} was not found by pkg-config nor by compiling")
        return None

    def add_libraries(self, ext):
        if SYSTEM:
            flags = pkg_config("piecemill")
            if not flags:
                sys.exit("setup.py: PIECEMILL_SYSTEM=1, but pkg-config does not know piecemill")
            ext.extra_compile_args += ["-DPMPY_NO_COMMAND", *flags[0]]
            ext.extra_link_args += flags[1]
            return
        if not self.links("#define XXH_INLINE_ALL\n#include <xxhash.h>\nint main(void) { return 0; }", [], []):
            sys.exit("setup.py: a C compiler and xxhash.h are needed (Debian: gcc libxxhash-dev, Fedora: gcc xxhash-devel, "
                     "Homebrew: xxhash)")
        found = []
        for name in LIBRARIES:
            flags = self.probe(name)
            if flags:
                ext.extra_compile_args += ["-DPM_HAVE_" + name, *flags[0]]
                ext.extra_link_args += flags[1]
                found.append(name.lower())
        print("piecemill is built with:", *found)
        ext.extra_link_args.append("-lm")

    def compile_one(self, ext, source, newest_header):
        target = os.path.join(self.build_temp, os.path.splitext(source)[0] + ".o")
        if not self.force and os.path.exists(target):
            if os.path.getmtime(target) > max(newest_header, os.path.getmtime(os.path.join(ROOT, source))):
                return target
        return self.compiler.compile([source], output_dir=self.build_temp, include_dirs=ext.include_dirs,
                                     macros=ext.define_macros, extra_postargs=ext.extra_compile_args, depends=ext.depends)[0]

    def build_extension(self, ext):
        self.add_libraries(ext)
        stamp = os.path.join(self.build_temp, "flags")
        flags = repr((ext.extra_compile_args, ext.define_macros, self.compiler.compiler_so))
        os.makedirs(self.build_temp, exist_ok=True)
        if not os.path.exists(stamp) or open(stamp, encoding="utf-8").read() != flags:
            self.force = True
        newest = max(os.path.getmtime(os.path.join(ROOT, path)) for path in [*headers(), "setup.py"])
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            objects = list(pool.map(lambda source: self.compile_one(ext, source, newest), ext.sources))
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(flags)
        self.compiler.link_shared_object(objects, self.get_ext_fullpath(ext.name), extra_postargs=ext.extra_link_args,
                                         build_temp=self.build_temp, target_lang="c")


def main():
    include = ["bindings/python/src"] if SYSTEM else ["lib", "lib/include", "bindings/python/src", "."]
    extension = Extension(
        "piecemill._piecemill",
        sources=sources(),
        depends=headers(),
        include_dirs=include,
        define_macros=[("Py_LIMITED_API", "0x030b0000")] if ABI3 else [],
        extra_compile_args=list(FLAGS),
        extra_link_args=["-pthread"],
        py_limited_api=ABI3,
    )
    setup(
        version=version(),
        ext_modules=[extension],
        cmdclass={"build_ext": BuildExt},
        # what is made lies in build/, beside the C build, and not among the sources
        options={"build": {"build_base": BUILD}, "egg_info": {"egg_base": BUILD},
                 **({"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {})},
    )


if __name__ == "__main__":
    os.chdir(ROOT)
    os.makedirs(BUILD, exist_ok=True)
    main()
