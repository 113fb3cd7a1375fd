"""SCons script of the emulated boards: finds a compiler, links the program with the harness in ``rt``."""

import json
import os
import shutil
import subprocess
import sys

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
platform = env.PioPlatform()
board = env.BoardConfig()
home = platform.get_dir()
with open(os.path.join(home, "flags.json"), encoding="utf-8") as file:
    flags = json.load(file)
tools = flags["toolchains"][board.get("build.arch")]


def find_compiler():
    """The compilers' common prefix, with its folder where it is not in PATH."""
    package = platform.get_package_dir(tools["package"])
    folders = [None] + ([os.path.join(package, "bin")] if package else [])
    for folder in folders:
        for prefix in tools["prefixes"]:
            path = shutil.which(prefix + "gcc", path=folder or env["ENV"]["PATH"])
            if path:
                return os.path.join(folder, prefix) if folder else prefix
    sys.stderr.write(
        f"Error: no {tools['prefixes'][0]}gcc in PATH. On Debian: apt-get install {tools['apt']}; "
        f"elsewhere: pio pkg install -g -t platformio/{tools['package']}\n"
    )
    env.Exit(1)


def find_specs(gcc):
    """The first libc this compiler has: a bare name comes back where there is no such file."""
    for name in tools["specs"]:
        query = [gcc, "-print-file-name=" + name]
        if os.path.isabs(subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()):
            return ["--specs=" + name]
    return []


prefix = find_compiler()
cpu = board.get("build.cpu_flags").split() + find_specs(prefix + "gcc")
memory = board.get("build.memory")
symbols = {
    "__flash": memory["flash"][0],
    "__flash_size": memory["flash"][1],
    "__ram": memory["ram"][0],
    "__ram_size": memory["ram"][1],
    "__stack_size": board.get("build.stack", "0x1000"),
}
rt = os.path.join(home, "rt")
# relative, since SCons does not quote everything that a shell would read something into
script = os.path.relpath(os.path.join(rt, "link.ld"))
map_file = os.path.relpath(env.subst("$BUILD_DIR/firmware.map"))

env.Replace(
    AR=prefix + "gcc-ar",
    AS=prefix + "gcc",
    CC=prefix + "gcc",
    CXX=prefix + "g++",
    RANLIB=prefix + "gcc-ranlib",
    SIZETOOL=prefix + "size",
    ARFLAGS=["rc"],
    SIZEPRINTCMD="$SIZETOOL -A -d $SOURCES",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)
env.Append(
    ASFLAGS=cpu,
    CCFLAGS=cpu + [flag for flag in flags["c"] if not flag.startswith("-std")],
    CFLAGS=[flag for flag in flags["c"] if flag.startswith("-std")],
    CPPDEFINES=["HARNESS_SEMIHOSTING"],
    CPPPATH=[rt],
    LINKFLAGS=cpu
    + flags["link"]
    + ["-T", script, f"-Wl,-Map,{map_file}"]
    + [f"-Wl,--defsym={name}={value}" for name, value in symbols.items()],
)
harness = env.Clone()
harness.Append(CCFLAGS=flags["harness"])
harness.BuildSources(os.path.join("$BUILD_DIR", "rt"), rt)

firmware = env.BuildProgram()
qemu = " ".join([*board.get("emulation.qemu"), *board.get("emulation.options"), "-kernel", "$SOURCE"])
run = env.VerboseAction(qemu, "Running $SOURCE in QEMU")
env.AddPlatformTarget("qemu", firmware, run, "Run in QEMU")
AlwaysBuild(env.Alias("upload", firmware, run))
env.AddPlatformTarget("size", firmware, env.VerboseAction("$SIZEPRINTCMD", "Size of $SOURCE"), "Program size")
Default(firmware)
