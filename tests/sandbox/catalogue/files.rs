//! Files outside, secrets inside, and what must not be changed.

use crate::sandbox::attack::{Attack, Holds, Kind, attack, py, run, scripts, sh, tries};

/// Where no mounts make the rest read-only.
const METADATA: &str = "modes and times of the user's own files outside can be changed";

pub fn kinds() -> Vec<Kind> {
    vec![reading(), writing(), metadata(), looking(), inside(), protected()]
}

fn reading() -> Kind {
    let mut attacks = scripts(&[
        "cat {OUT}/secret",
        "cat {TMP}/secret",
        "cat {HOME}/.ssh/id_rsa",
        "cat ~/secret {HOME}/secret",
        "cat {KEYFILE}",
        "cat .env",
        "cat ./sub/.env.local",
        "cat link",
        "cat dirlink/secret",
        "cat chain/secret",
        "cat ../outside/secret",
        "cat /proc/self/root{OUT}/secret",
        "cat /proc/self/cwd/../outside/secret",
        "cat /proc/$PPID/root{OUT}/secret",
        "cat /proc/$PPID/cwd/../outside/secret",
        "cat /proc/*/root{OUT}/secret",
        "grep -r . {OUT} {TMP} {HOME}",
        "head -c 999 {OUT}/secret | base64",
        "exec 3< {OUT}/secret; cat <&3",
        "cd {OUT} && cat secret",
        "cd dirlink && cat secret",
        "find .. -name secret -exec cat {} +",
        "dd if={OUT}/secret",
        "set -a; . {OUT}/secret; echo",
        "cp -r {OUT} \"$TMPDIR\" && cat \"$TMPDIR\"/outside/secret",
        "ln {OUT}/secret \"$TMPDIR/x\" && cat \"$TMPDIR/x\"",
        "ln -s {OUT}/secret \"$TMPDIR/s\" && cat \"$TMPDIR/s\"",
        "mv {OUT}/secret \"$TMPDIR/x\" && cat \"$TMPDIR/x\"",
        "tar cf - {OUT} | strings",
        "git diff --no-index /dev/null {OUT}/secret",
        "git hash-object -w {OUT}/secret; git show $(git hash-object {OUT}/secret)",
        "git log --format=%s --grep=x; git config -f {OUT}/secret --list; git blame --contents {OUT}/secret hello",
    ]);
    attacks.extend([
        attack(run(&["bash", "-c", "echo $(<{OUT}/secret)"])),
        attack(run(&["sort", "{OUT}/secret"])),
        attack(run(&["awk", "{print}", "{OUT}/secret"])),
        attack(run(&["sed", "-n", "p", "{OUT}/secret"])),
        attack(run(&["sed", "r {OUT}/secret", "hello"])),
        attack(run(&["xargs", "-a", "{OUT}/secret", "echo"])),
        attack(run(&["perl", "-pe", "1", "{OUT}/secret"])),
        attack(run(&["sh", "-c", "tar c {OUT}/secret | tr -d '\\0'"])),
        attack(run(&["curl", "-s", "file://{OUT}/secret"])),
        attack(run(&["sort", "--files0-from={OUT}/secret"])),
        attack(py("import os\nf = os.open('{OUT}/secret', os.O_PATH)\nprint(open('/proc/self/fd/%d' % f).read())")),
        attack(py("import ctypes\nL = ctypes.CDLL(None)\nf = L.syscall(437, -100, b'{OUT}/secret', \
                   ctypes.byref((ctypes.c_uint64 * 3)()), 24)\nprint(open(f).read())")),
        attack(py("import mmap\nf = open('{OUT}/secret', 'rb')\nprint(mmap.mmap(f.fileno(), 0, prot=1)[:])")),
        attack(py(
            "import os\nd = os.open('..', os.O_PATH)\nprint(os.read(os.open('outside/secret', 0, dir_fd=d), 99))",
        )),
        attack(py("import os\nos.chdir('{OUT}')\nprint(open('secret').read())")),
        attack(py("import os, shutil\nshutil.copyfile('{OUT}/secret', os.environ['TMPDIR'] + '/y')\n\
                   print(open(os.environ['TMPDIR'] + '/y').read())")),
        attack(py("import ctypes\nL = ctypes.CDLL(None)\nL.listxattr(b'{OUT}/secret', None, 0)\n\
                   import subprocess\nprint(subprocess.run(['cat', '{OUT}/secret'], capture_output=True).stdout)")),
    ]);
    let closed = "inherited descriptors are always closed";
    attacks.push(attack(sh("cat <&9")).fails_bare(closed));
    let each = "for n in 3 4 5 6 7 8 9 10 11 12; do cat /dev/fd/$n; cat /proc/self/fd/$n; done";
    attacks.push(attack(sh(each)).fails_bare(closed));
    attacks.push(attack(sh("cat /etc/shadow | grep -q : && echo {HARM}")));
    attacks.push(attack(sh("cat /etc/ssh/*_key /root/.* /var/log/* 2>/dev/null | grep -q . && echo {HARM}")));
    Kind {
        id: "S1-S3",
        aim: "read what is outside or secret",
        grants: &[],
        holds: Holds::Sandbox,
        twin: (
            sh("cat hello && echo kept > \"$TMPDIR/k\" && cat \"$TMPDIR/k\" && cat /etc/hostname > /dev/null"),
            "kept",
        ),
        attacks,
    }
}

fn writing() -> Kind {
    let mut attacks = scripts(&[
        "echo x > {OUT}/marker",
        "echo x >> {OUT}/secret",
        "echo x > {HOME}/.bashrc",
        "echo x > dirlink/marker",
        "echo x > link",
        "echo x > dangling",
        "echo x > ../outside/marker",
        "echo x > /proc/self/root{OUT}/marker",
        "echo x > /proc/$PPID/root{OUT}/marker",
        "echo x > /proc/$PPID/cwd/../outside/marker",
        "mkdir {OUT}/marker",
        "ln -s / {OUT}/marker",
        "ln hello {OUT}/marker",
        "mv hello {OUT}/marker",
        "mkfifo {OUT}/marker",
        "rm -rf {OUT}/* {HOME}/secret",
        "rm {OUT}/secret",
        "mv {OUT}/secret {OUT}/marker",
        "mv {OUT} x",
        "rmdir {HOME}/.ssh; mv {HOME}/.ssh x",
        "truncate -s 0 {OUT}/secret",
        "dd if=hello of={OUT}/secret conv=notrunc",
        "cp -a hello {OUT}/marker",
        "tee {OUT}/marker < hello",
        "install -m 4755 hello {OUT}/marker",
        "mkdir t && ln -s {OUT} t/d && cp hello t/d/marker",
        "mkdir t2 && cd t2 && mv ../t2 ../src/t3 && echo x > ../../../outside/marker",
        "git init -q {OUT}/x",
        "git archive HEAD | tar x -C {OUT}",
        "git clone -q . {OUT}/x",
        "git worktree add {OUT}/x",
        "git --git-dir=.git --work-tree={OUT} checkout -f HEAD -- hello",
        "exec 8> {OUT}/marker",
    ]);
    attacks.extend([
        attack(run(&["sed", "-i", "s/./x/", "{OUT}/secret"])),
        attack(run(&["sed", "w {OUT}/marker", "hello"])),
        attack(run(&["awk", "{print > \"{OUT}/marker\"}", "hello"])),
        attack(run(&["find", ".", "-maxdepth", "0", "-fprintf", "{OUT}/marker", "x"])),
        attack(run(&["find", "{OUT}", "-name", "secret", "-delete"])),
        attack(run(&["sort", "-o", "{OUT}/marker", "hello"])),
        attack(run(&["tar", "cf", "{OUT}/marker", "hello"])),
        attack(run(&["perl", "-e", "open F, '>{OUT}/marker'"])),
        attack(run(&["perl", "-e", "rename 'hello', '{OUT}/marker'"])),
        attack(run(&["curl", "-so", "{OUT}/marker", "file:///etc/hostname"])),
        attack(tries("os.rename('hello', '{OUT}/marker')")),
        attack(tries("os.truncate('{OUT}/secret', 0)")),
        attack(tries("os.link('{OUT}/secret', 'linked')")),
        attack(tries("os.mknod('{OUT}/marker')")),
        attack(tries("os.symlink('x', '{OUT}/marker')")),
        attack(tries("s = socket.socket(socket.AF_UNIX); s.bind('{OUT}/marker')")),
        attack(tries("L = ctypes.CDLL(None)\nassert L.syscall(316, -100, b'hello', -100, b'{OUT}/secret', 2) == 0")),
        attack(tries(
            "f = open('/proc/sys/kernel/core_pattern').read()\nopen('/proc/sys/kernel/core_pattern', 'w').write(f)",
        )),
        attack(tries("f = open('/etc/hostname').read()\nopen('/etc/hostname', 'r+').write(f)")),
        attack(tries("f = '/usr/lib/flux-marker'\nopen(f, 'w').close()\nos.remove(f)")),
        attack(tries("f = '/dev/shm/../flux-marker'\nopen(f, 'w').close()\nos.remove(f)")),
        attack(tries("d = '/sys/fs/cgroup/flux-marker'\nos.mkdir(d)\nos.rmdir(d)")),
        attack(sh("x=$(head -c1 /dev/kmsg 2>/dev/null); : > /dev/kmsg && echo {HARM}")),
    ]);
    Kind {
        id: "S9",
        aim: "change what is outside",
        grants: &["write"],
        holds: Holds::SandboxWritable,
        twin: (
            sh("echo x > src/new && mv src/new src/n && rm src/n && mkdir -p src/d && rmdir src/d && echo changed"),
            "changed",
        ),
        attacks,
    }
}

fn metadata() -> Kind {
    let scripts = scripts(&[
        "chmod 777 {OUT}/secret",
        "chmod 777 {OUT}",
        "touch {OUT}/secret",
        "touch -d 2001-01-01 {HOME}/secret",
        "chmod -R a+rwx {HOME}",
    ]);
    let others = [
        attack(run(&["python3", "-c", "import os; os.setxattr('{OUT}/secret', 'user.x', b'x')"])),
        attack(run(&["perl", "-e", "utime 1, 1, '{OUT}/secret'"])),
        attack(run(&["python3", "-c", "import os; os.chown('{OUT}/secret', os.getuid(), os.getgid())"])),
    ];
    let attacks: Vec<Attack> = scripts.into_iter().chain(others).map(|attack| attack.gap(METADATA)).collect();
    let chown = attack(tries("os.chown('{OUT}/secret', 1, 1)"));
    let device = attack(tries("os.mknod('src/marker', stat.S_IFBLK | 0o600, os.makedev(253, 0))"));
    Kind {
        id: "S33",
        aim: "change modes, owners and times outside, make devices",
        grants: &["write"],
        holds: Holds::SandboxWritable,
        twin: (
            sh("touch src/n && chmod 755 src/n && touch -d 2001-01-01 src/n && rm src/n && echo changed"),
            "changed",
        ),
        attacks: attacks.into_iter().chain([chown, device]).collect(),
    }
}

fn looking() -> Kind {
    let attacks = scripts(&[
        "ls {OUT} | grep -q secret && echo {HARM}",
        "ls -a {HOME} | grep -q ssh && echo {HARM}",
        "ls {TMP} | grep -q secret && echo {HARM}",
        "test \"$(echo {OUT}/se*)\" = {OUT}/secret && echo {HARM}",
        "test \"$(echo {HOME}/.s*)\" = {HOME}/.ssh && echo {HARM}",
        "ls /tmp | grep -q flux-canary && echo {HARM}",
        "ls /run | grep -q . && echo {HARM}",
    ]);
    Kind {
        id: "S30",
        aim: "list what is outside",
        grants: &[],
        holds: Holds::Sandbox,
        twin: (sh("ls | grep hello && ls /usr/bin | grep -q sh && ls -a ~ && echo listed"), "listed"),
        attacks,
    }
}

fn inside() -> Kind {
    let mut attacks = scripts(&[
        "echo x > hello",
        "echo x > marker",
        "rm hello",
        "mv src d",
        "mkdir marker",
        "ln -s / marker",
        "git init -q marker",
        "truncate -s 0 src/lib.rs",
        "tar xf /dev/null; git archive HEAD src | tar x -C src",
    ]);
    attacks.extend([
        attack(run(&["find", "src", "-type", "f", "-delete"])),
        attack(run(&["sed", "-i", "s/benign/x/", "hello"])),
        attack(run(&["sort", "-o", "hello", "src/lib.rs"])),
        attack(run(&["python3", "-c", "import os; os.rename('hello', 'marker')"])),
    ]);
    Kind {
        id: "S17",
        aim: "change the working directory without the grant",
        grants: &[],
        holds: Holds::Sandbox,
        twin: (sh("cp hello \"$TMPDIR/h\" && echo x >> \"$TMPDIR/h\" && cat hello \"$TMPDIR/h\""), "benign"),
        attacks,
    }
}

/// What exists is read-only with namespaces; what does not, and everything without them, is seen and reported.
fn protected() -> Kind {
    let attacks = scripts(&[
        "echo x >> .git/config",
        "echo x > .git/hooks/pre-commit",
        "echo x > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout",
        "rm .git/hooks/pre-commit",
        "mv .git g",
        "rm -rf .git",
        "ln -s .git gg; echo x > gg/hooks/post-merge",
        "mkdir -p .git/info && echo x > .git/info/attributes",
        "chmod 777 .git/hooks/pre-commit",
        "git config core.pager x",
        "git config --local alias.y '!x'",
        "git remote add evil ext::x",
        "echo x > AGENTS.md",
        "rm AGENTS.md",
        "mv AGENTS.md x",
        "mkdir -p .vscode && echo x > .vscode/tasks.json",
        "mkdir -p .github/workflows && echo x > .github/workflows/x.yml",
        "mkdir -p .husky && echo x > .husky/pre-commit",
        "echo x > .envrc",
        "echo x > .bashrc",
        "echo x > .mcp.json",
        "mkdir -p bare/objects bare/refs && echo 'ref: refs/heads/x' > bare/HEAD",
        "mkdir -p sub/.git/hooks && echo x > sub/.git/hooks/post-commit",
        "umount .git; mount -o remount,rw .git; echo x > .git/HEAD",
        "echo ../evil > .git/commondir",
        "echo x > .git/config.worktree",
        "echo x > .git/HEAD",
        "echo x > .env",
        "mv .env e; echo x > .env",
        "cp -r src s2 && mkdir s2/x && mv s2/x .vscode",
    ]);
    Kind {
        id: "S6-S7",
        aim: "plant what other programs obey",
        grants: &["write"],
        holds: Holds::SandboxWritable,
        twin: (sh("echo x > src/envrc && mkdir src/vscode && rm -r src/envrc src/vscode && echo planted"), "planted"),
        attacks,
    }
}
