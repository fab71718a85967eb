"""The operational database: runs, snapshots, overrides, promotions, releases, teams, loops, proposals, audit."""
