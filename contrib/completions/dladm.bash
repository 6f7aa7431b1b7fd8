# Completion of dladm(8) in bash: dladm itself says what can follow, from the daemons that run.
_dladm() {
    local line=${COMP_LINE:0:COMP_POINT} candidate value
    local -a words candidates
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    mapfile -t candidates < <(DLADM_COMPLETE=1 "$1" "${words[@]:1}" 2>/dev/null)
    # bash takes a word apart at = and :, and replaces only what follows the last of them.
    local before=${words[-1]%"$2"}
    COMPREPLY=()
    for candidate in "${candidates[@]}"; do
        value=${candidate%%$'\t'*}
        # What bash would take for more than itself must not come to the command line.
        [[ $value == *[^[:alnum:]_.,:=/+@%-]* ]] && continue
        COMPREPLY+=("${value#"$before"}")
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}
complete -o nosort -F _dladm dladm
