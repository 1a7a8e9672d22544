"""Run CleanRL's sac_continuous_action.py, the file as it is, with HandLatent-v0 in its single form.

    CLEANRL=path/to/cleanrl python tests/libraries/with_cleanrl.py

CleanRL is no package: clone it yourself. Its files are written for Gymnasium 0.29. With newer ones they stop at the
first truncated episode of any environment (its issue 545), so here an episode is longer than the training.
"""

import hashlib
import os
import runpy
import sys
from pathlib import Path

from hands import SEEN, ran

FILE = "cleanrl/sac_continuous_action.py"
FEW = "--total-timesteps 30 --learning-starts 10 --batch-size 8 --buffer-size 100 --no-cuda"


def main(clone: Path) -> None:
    """Train for 30 steps, and see that the agent and the VAE learned."""
    sys.path.insert(0, str(clone))
    sys.argv = [FILE, "--env-id", "my_hands:HandLatent-v0", *FEW.split()]
    script = runpy.run_path(str(clone / FILE), run_name="__main__")
    updates = {int(state["step"]) for state in script["actor_optimizer"].state.values()}
    assert updates == {18}, updates
    assert all(weight.isfinite().all() for weight in script["actor"].parameters())
    SEEN.check(30)
    digest = hashlib.sha256((clone / FILE).read_bytes()).hexdigest()
    ran(f"`sac_continuous_action.py`, SHA-256 {digest[:8]}: single, flat")


if __name__ == "__main__":
    main(Path(os.environ["CLEANRL"]))
