# Prints the targets of a Makefile that carry a `## description`, under their `##@ section`.
BEGIN { FS = ":.*## "; print "usage: make TARGET" }
/^##@ / { printf "\n%s\n", substr($0, 5) }
/^[a-z-]+:.*## / { printf "  %-15s %s\n", $1, $2 }
