# Arithmetic, expansion, functions, subshells, pipes, traps, here-documents.
sum=0; i=0
while [ $i -lt 2000 ]; do sum=$((sum + i * i % 7)); i=$((i + 1)); done; echo $sum
f() { local x=$1; [ "$x" -le 1 ] && { echo 1; return; }; echo $((x * $(f $((x - 1))))); }; f 5
trap 'echo leaving' EXIT; trap 'echo got TERM' TERM; kill -TERM $$
for w in one two three; do case $w in t*) echo "${w#t} ${w%e} ${#w}" ;; *) echo other ;; esac; done
cat <<END | while read -r a b; do echo "$b $a"; done
first line
second $((6 * 7))
END
(exit 3) || echo "status $?"; (sleep 0.1; echo background) & wait; echo "${0##*/}" "$(echo nested $(echo deeper))"
