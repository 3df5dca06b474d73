# $1 is 0 when the last version goes.
if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then
    systemctl disable --now logboom.socket logboom-otlp.socket logboom-otlp-http.socket logboom.service
fi
