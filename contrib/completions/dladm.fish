# Completion of dladm(8) in fish: dladm itself says what can follow, from the daemons that run.
function __dladm_candidates
    set -l words (commandline --tokenize --current-process --cut-at-cursor)
    set -l word (commandline --current-token --cut-at-cursor)
    DLADM_COMPLETE=1 command $words "$word" 2>/dev/null
end
complete --command dladm --no-files --keep-order --arguments '(__dladm_candidates)'
