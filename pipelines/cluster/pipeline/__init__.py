"""An experiment as a Kubeflow pipeline: what is compiled, and what its containers do."""
