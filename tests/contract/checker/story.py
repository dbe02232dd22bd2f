"""A short history in which everything happens that the laws are about, in the right way."""

from __future__ import annotations

from tests.contract.checker.driving import Step

#: Five tasks, named by their creates; `late` becomes a dead letter, the others are completed.
STORY = {
    "low": Step("create", number=0, wait=100),
    "late": Step("create", number=0, wait=100),
    "high": Step("create", number=2, wait=100),
    "middle": Step("create", number=4, wait=100),
    "delayed": Step("delayed", number=0, seconds=4, wait=100),
    "claim high": Step("claim", "w0", seconds=4, wait=100),
    "beat high": Step("heartbeat", "w0", -1, seconds=5, wait=500),
    "end high": Step("result", "w0", -1, wait=500),
    "claim middle": Step("claim", "w1", seconds=3, wait=100),
    "nack middle": Step("nack", "w1", -1, number=2, wait=100),
    "claim low": Step("claim", "w1", seconds=3, wait=100),
    "abandon low": Step("abandon", "w1", -1, wait=100),
    "claim late": Step("claim", "w2", seconds=2, wait=100),
    "claim low again": Step("claim", "w0", seconds=4, wait=100),
    "read low": Step("read", task=0, wait=100),
    "end low": Step("result", "w0", -1, wait=100),
    "claim in vain": Step("claim", "w0", wait=100),
    "claim middle again": Step("claim", "w0", wait=2500),
    "end middle": Step("result", "w0", -1, wait=100),
    "claim delayed": Step("claim", "w1", wait=1500),
    "end delayed": Step("result", "w1", -1, wait=100),
    "claim late again": Step("claim", "w1", wait=100),
    "nack late": Step("nack", "w1", -1, wait=100),
    "last claim": Step("claim", "w1", wait=3000),
}
