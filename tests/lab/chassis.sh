#!/bin/sh
# The power switch of a simulated machine: ipmi_sim runs "chassis.sh STATE_DIR get|set|check ...".
# STATE_DIR/power holds 0 or 1, STATE_DIR/boot the boot device, STATE_DIR/events what was asked.
state=$1
verb=$2
shift 2

read_state() { # read_state NAME DEFAULT
    if [ -r "$state/$1" ]; then cat "$state/$1"; else echo "$2"; fi
}

get() {
    for name in "$@"; do
        case $name in
        power) echo "power:$(read_state power 0)" ;;
        boot) echo "boot:$(read_state boot default)" ;;
        *) return 1 ;;
        esac
    done
}

set_all() {
    while [ $# -ge 2 ]; do
        echo "$1 $2" >>"$state/events"
        case $1 in
        power | boot) echo "$2" >"$state/$1" ;;
        shutdown) echo 0 >"$state/power" ;;
        reset) ;;
        identify) shift ;; # Takes two values: seconds, and whether to go on for ever.
        *) return 1 ;;
        esac
        shift 2
    done
}

case $verb in
get) get "$@" ;;
set) set_all "$@" ;;
*) exit 1 ;; # "check" asks whether the machine died on its own: it never does.
esac
