"""Kubeconfig files for tests."""

from pathlib import Path

import yaml


def write_kubeconfig(path: Path, url: str, *, token: str, context: str = "fake") -> Path:
    """Write a kubeconfig whose current context reaches the server with the token."""
    user = {"token": token} if token else {}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "fake", "cluster": {"server": url}}],
                "users": [{"name": "runner", "user": user}],
                "contexts": [
                    {
                        "name": context,
                        "context": {"cluster": "fake", "user": "runner", "namespace": "teachwhy"},
                    }
                ],
                "current-context": context,
            }
        )
    )
    return path
