# As postinst of the Debian package. $1: how many versions are installed then.
systemd-sysusers logboom.conf
if [ "$1" = 1 ]; then
    printf '%s\n' 'z /etc/logboom 0750 root logboom' 'z /etc/logboom/logboom.yaml 0640 root logboom' |
        systemd-tmpfiles --create -
fi
systemd-tmpfiles --create logboom.conf
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart logboom.service
fi
