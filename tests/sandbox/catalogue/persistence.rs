//! What shall go on when the run has ended: processes in the background, and what others start later.

use crate::sandbox::attack::{Attack, Holds, Kind, attack, py, run, scripts, sh};

pub fn kinds() -> Vec<Kind> {
    let mut attacks = scripts(&[
        "sh -c 'sleep 1; touch {OUT}/marker' &",
        "nohup sh -c 'sleep 1; touch {OUT}/marker' > /dev/null 2>&1 &",
        "setsid sh -c 'sleep 1; touch {OUT}/marker' > /dev/null 2>&1 &",
        "setsid sh -c 'setsid sh -c \"trap : TERM HUP INT; sleep 1; touch {OUT}/marker\" &' &",
        "(trap '' TERM HUP; sleep 1; touch {OUT}/marker) > /dev/null 2>&1 < /dev/null &",
    ]);
    attacks.extend([
        attack(py(DAEMON)),
        attack(run(&["perl", "-e", "fork && exit; setpgrp; fork && exit; sleep 1; system 'touch {OUT}/marker'"])),
    ]);
    let mut attacks: Vec<Attack> = attacks.into_iter().map(|attack| attack.fails_bare(ENDED)).collect();
    attacks.extend(scripts(&[
        "mkdir -p {HOME}/.config/autostart && echo x > {HOME}/.config/autostart/x.desktop",
        "echo x > {HOME}/.profile; echo x > {HOME}/.ssh/authorized_keys",
        "mkdir -p {HOME}/.config/systemd/user && echo x > {HOME}/.config/systemd/user/x.service",
    ]));
    attacks.extend([
        attack(sh("echo '* * * * * touch {OUT}/marker' | crontab -")).untried(),
        attack(sh("echo touch {OUT}/marker | at now")).untried(),
        attack(sh("systemd-run --user touch {OUT}/marker")).untried(),
        attack(sh("tmux -S {TMP}/tmux new -d 'touch {OUT}/marker'")).untried(),
        attack(sh("echo x > /etc/cron.d/flux-marker")).untried(),
        attack(sh("echo x > /var/spool/cron/crontabs/root")).untried(),
        attack(sh("echo x >> /etc/ld.so.preload")).untried(),
    ]);
    vec![Kind {
        id: "S61",
        aim: "stay, or be started again",
        grants: &[],
        holds: Holds::Sandbox,
        twin: (sh("sleep 0.01 & wait; echo waited"), "waited"),
        attacks,
    }]
}

const ENDED: &str = "what a command leaves running is ended without a sandbox, too";

const DAEMON: &str = "import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  \
                      os.closerange(0, 99)\n  time.sleep(1)\n  open('{OUT}/marker', 'w')\n os._exit(0)";
