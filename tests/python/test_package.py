"""The package itself: its sources, stubs and docstrings, the command, and a build from the source archive."""

import ast
import doctest
import glob
import importlib.util
import inspect
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time

import pytest

import piecemill
from conftest import ROOT, environment


def setup_module_of():
    spec = importlib.util.spec_from_file_location("piecemill_setup", os.path.join(ROOT, "setup.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sources_are_those_of_the_makefile():
    with open(os.path.join(ROOT, "Makefile.am"), encoding="utf-8") as file:
        text = file.read().replace("\\\n", " ")
    listed = set()
    for name in ("libpiecemill_all_la_SOURCES", "cli_sources"):
        listed |= {word for word in re.search(rf"^{name} *= *(.*)$", text, re.M).group(1).split() if word.endswith(".c")}
    ours = {path for path in setup_module_of().sources() if not path.startswith("bindings/")}
    assert ours == listed


def test_headers_are_those_of_the_makefile():
    with open(os.path.join(ROOT, "Makefile.am"), encoding="utf-8") as file:
        listed = set(re.findall(r"\b(?:lib|cli)/[\w/.-]+\.h\b", file.read()))
    ours = {path for path in setup_module_of().headers() if not path.startswith("bindings/")}
    assert ours == listed


def test_version_is_that_of_the_library():
    assert setup_module_of().version() == piecemill.__version__


def test_binding_compiles_for_the_stable_abi():
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    for path in sorted(glob.glob(os.path.join(ROOT, "bindings", "python", "src", "*.c"))):
        command = [compiler, "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror=implicit-function-declaration",
                   "-DPy_LIMITED_API=0x030b0000", "-I" + os.path.join(ROOT, "lib", "include"),
                   "-I" + sysconfig.get_paths()["include"], path]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


# ---- docstrings and stubs ----


def documented():
    """(name, object) of everything public that has a docstring."""
    yield "piecemill", piecemill
    for name in piecemill.__all__:
        value = getattr(piecemill, name)
        if inspect.isclass(value) or callable(value):
            yield name, value
        if inspect.isclass(value) and value.__module__.startswith("piecemill"):
            for member, function in vars(value).items():
                if not member.startswith("_") and getattr(function, "__doc__", None):
                    yield f"{name}.{member}", function
    from piecemill import _progress

    yield "Bar", _progress.Bar


def test_everything_public_has_a_docstring():
    for name, value in documented():
        assert value.__doc__ and value.__doc__.strip(), name
        if inspect.isclass(value) and not issubclass(value, tuple):
            for member in vars(value):
                if not member.startswith("_") and callable(getattr(value, member)):
                    assert getattr(value, member).__doc__, f"{name}.{member}"


def test_methods_have_an_example():
    for cls in (piecemill.Tokenizer, piecemill.Array):
        for member, function in vars(cls).items():
            if not member.startswith("_") and callable(getattr(cls, member)):
                assert ">>> " in function.__doc__, f"{cls.__name__}.{member}"
    assert ">>> " in piecemill.train.__doc__ and ">>> " in piecemill.train_from_iterator.__doc__


def test_examples_in_docstrings():
    parser = doctest.DocTestParser()
    tok = piecemill.train_from_iterator(["low lower lowest"] * 9, algorithm="bpe", vocab_size=262, pattern="gpt2")
    from piecemill._progress import Bar

    examples = 0
    for name, value in documented():
        test = parser.get_doctest(inspect.getdoc(value), {"piecemill": piecemill, "tok": tok, "Bar": Bar}, name, name, 0)
        said = []
        result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
        assert result.failed == 0, "".join(said)
        examples += result.attempted
    assert examples > 30


def test_stubs_name_what_is_there():
    """Every name and parameter of _piecemill.pyi is there at run time, and the other way round."""
    from piecemill import _piecemill

    with open(os.path.join(ROOT, "bindings", "python", "piecemill", "_piecemill.pyi"), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    public = lambda names: {n for n in names if not n.startswith("_")}
    top = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))} | {
        n.target.id for n in tree.body if isinstance(n, ast.AnnAssign)}
    assert public(top) | {"cli_main"} == public(dir(_piecemill)) | {"cli_main"}
    for cls in (n for n in tree.body if isinstance(n, ast.ClassDef)):
        real = getattr(_piecemill, cls.name)
        members = {n.name: n for n in cls.body if isinstance(n, ast.FunctionDef)}
        attributes = {n.target.id for n in cls.body if isinstance(n, ast.AnnAssign)}
        inherited = public(dir(tuple)) if issubclass(real, tuple) else set()
        assert public(members) | public(attributes) == public(dir(real)) - inherited, cls.name
        for name, node in members.items():
            value = inspect.getattr_static(real, name, None)
            if name.startswith("_") or not callable(getattr(real, name)):
                continue
            arguments = node.args
            stub = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs if a.arg not in ("self", "cls")]
            signature = inspect.signature(getattr(real, name))
            assert stub == [p for p in signature.parameters if p != "self"], f"{cls.name}.{name}: {value}"


def test_package_is_marked_as_typed():
    assert os.path.exists(os.path.join(os.path.dirname(piecemill.__file__), "py.typed"))
    assert os.path.exists(os.path.join(os.path.dirname(piecemill.__file__), "_piecemill.pyi"))


def test_import_needs_nothing_else():
    code = ("import sys\n"
            "before = set(sys.modules)\n"
            "import piecemill\n"
            "assert not {'numpy', 'pyarrow', 'tqdm', 'torch', 'multiprocessing'} & set(sys.modules)\n")
    assert subprocess.run([sys.executable, "-c", code], env=environment()).returncode == 0


def test_the_readmes_python(tmp_path):
    """Line by line in a clean folder with corpora/; a vocabulary of OpenAI's is taken from the data beside the checkout."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        code = re.search(r"^```python\n(.*?)^```", file.read(), re.M | re.S).group(1)
    ranks = os.path.join(os.environ.get("PM_SHARED", os.path.join(ROOT, "..", "shared")), "vocabs", "o200k_base.tiktoken")
    if os.path.exists(ranks):
        os.symlink(ranks, tmp_path / "o200k_base.tiktoken")
    else:
        code = "".join(line for line in code.splitlines(True) if "o200k_base.tiktoken" not in line)
    os.symlink(os.path.join(ROOT, "corpora"), tmp_path / "corpora")
    done = subprocess.run([sys.executable, "-c", code + "assert tok.decode(ids.tolist()) == '深度学习机器学习'\n"],
                          env=environment(), cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


def test_the_python_of_the_guide_to_training(tmp_path):
    with open(os.path.join(ROOT, "docs", "training.md"), encoding="utf-8") as file:
        code = re.search(r"^```python\n(.*?)^```", file.read(), re.M | re.S).group(1)
    os.symlink(os.path.join(ROOT, "corpora"), tmp_path / "corpora")
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert os.path.exists(tmp_path / "tokenizer.json") and b"documents" in done.stdout


# ---- the command ----


def command(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "piecemill", *arguments], env=environment(), capture_output=True, timeout=60, **options)


def test_command_from_python(tmp_path):
    assert command("--help").returncode == 0 and command("--help").stdout
    assert command("train", "--help").returncode == 0
    unknown = command("no-such-command")
    assert unknown.returncode == 2 and unknown.stdout == b"" and unknown.stderr
    (tmp_path / "c.txt").write_text("low lower lowest\n" * 9)
    done = command("train", "-a", "bpe", "-p", "gpt2", "-v", "262", "-o", str(tmp_path / "t.piecemill"), str(tmp_path / "c.txt"))
    assert done.returncode == 0, done.stderr
    tok = piecemill.Tokenizer.load(tmp_path / "t.piecemill")
    encoded = command("encode", "-m", str(tmp_path / "t.piecemill"), input=b"lower")
    assert [int(i) for i in encoded.stdout.split()] == tok.encode("lower")
    missing = command("encode", "-m", str(tmp_path / "none.piecemill"), input=b"")
    assert missing.returncode == 1 and b"none.piecemill" in missing.stderr


def test_command_dies_by_sigint(tmp_path):
    """Python's own handling of signals is out of the way: the shell sees what it sees of the C program."""
    process = subprocess.Popen([sys.executable, "-m", "piecemill", "train", "-a", "bpe", "-v", "60000", "-o", str(tmp_path / "m.piecemill"), "-"],
                               env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # CI may have it ignored
    process.stdin.write(b"the same words again and again\n" * 100_000)  # more than a pipe holds: it is being read
    process.stdin.flush()
    process.send_signal(signal.SIGINT)  # while it waits for more
    process.wait(timeout=30)
    errors = process.stderr.read()
    process.stdin.close()
    assert process.returncode == -signal.SIGINT and b"Traceback" not in errors
    assert os.listdir(tmp_path) == []


def test_command_is_quiet_when_the_pipe_closes(tmp_path):
    piecemill.train_from_iterator(["low"] * 9, "bpe", 258).save(tmp_path / "m.piecemill")
    (tmp_path / "c.txt").write_text("low lower\n" * 200_000)
    process = subprocess.Popen([sys.executable, "-m", "piecemill", "encode", "-m", str(tmp_path / "m.piecemill"), str(tmp_path / "c.txt")],
                               env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(100)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(timeout=30)
    process.stderr.close()


# ---- building ----


@pytest.mark.slow
def test_build_from_the_source_archive(tmp_path):
    """sdist, unpacked elsewhere, gives a wheel that works."""
    env = {**os.environ, "CFLAGS": "-O0"}
    done = subprocess.run([sys.executable, "setup.py", "-q", "sdist", "--formats=gztar", "-d", str(tmp_path)], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    archive, = glob.glob(str(tmp_path / "*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "source")
    source, = glob.glob(str(tmp_path / "source" / "*"))
    wheels = tmp_path / "wheels"
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(wheels), source],
                          env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    wheel, = os.listdir(wheels)
    assert wheel.startswith("piecemill-" + piecemill.__version__)
    target = tmp_path / "installed"
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target), str(wheels / wheel)],
                          env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = set(os.listdir(target / "piecemill"))
    assert {"__init__.py", "__main__.py", "_piecemill.pyi", "py.typed"} <= names and not [n for n in names if n.endswith(".c")]
    code = ("import piecemill\n"
            "tok = piecemill.train_from_iterator(['low lower lowest'] * 9, algorithm='bpe', vocab_size=262, pattern='gpt2')\n"
            "print(piecemill.__file__, tok.decode(tok.encode('lower')), *sorted(piecemill.features))\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(target)}, capture_output=True, text=True)
    assert done.stdout.split() == [str(target / "piecemill" / "__init__.py"), "lower", *sorted(piecemill.features)], done


@pytest.mark.parametrize("wish, says", [("maybe", "yes, no or auto"), ("yes", "PIECEMILL_WITH_ZSTD=yes")])
def test_with_library(tmp_path, wish, says):
    env = {**os.environ, "PIECEMILL_WITH_ZSTD": wish}
    if wish == "yes":  # hide the library from both ways of looking
        env.update(PKG_CONFIG="false", CFLAGS="-DZSTD_versionNumber=zstd_is_hidden")
    done = subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "-b", str(tmp_path), "-t", str(tmp_path / "t")],
                          cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode != 0 and says in done.stderr, done.stderr
