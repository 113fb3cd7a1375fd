"""SCons script of the native platform: gcc builds, the host runs."""

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
env.Replace(
    AR="gcc-ar", CC="gcc", CXX="g++", RANLIB="gcc-ranlib", ARFLAGS=["rc"], SIZEPRINTCMD="size $SOURCES"
)
program = env.BuildProgram()
run = env.VerboseAction("$SOURCE $PROGRAM_ARGS", "Running $SOURCE")
AlwaysBuild(env.Alias("exec", program, run))
AlwaysBuild(env.Alias("upload", program, run))
env.AddTarget("size", program, env.VerboseAction("$SIZEPRINTCMD", "Size of $SOURCE"), "Program size")
Default(program)
