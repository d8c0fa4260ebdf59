#!/usr/bin/env bash
# Install and start the real services the seam tests talk to, from Debian's packages. The default run needs none of them.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "services.sh: needs root. To do: run it with sudo"; exit 2; }
packages=(postgresql redis-server mosquitto nats-server)
missing=()
for p in "${packages[@]}"; do dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p"); done
if [ "${#missing[@]}" -gt 0 ]; then
  apt-get update -q && apt-get install -y -q "${missing[@]}"
fi
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
answers 5432 || pg_ctlcluster --skip-systemctl-redirect "$(ls /etc/postgresql)" main start
answers 6379 || redis-server --daemonize yes --bind 127.0.0.1 --port 6379 --save "" --appendonly no --dir /var/lib/redis
answers 1883 || mosquitto -d -c /etc/mosquitto/mosquitto.conf
answers 4222 || start-stop-daemon --start --oknodo --background --exec /usr/sbin/nats-server -- -a 127.0.0.1 -p 4222 -js -sd /var/lib/nats-server
sleep 2
for port in 5432 6379 1883 4222; do
  if answers "$port"; then echo "port $port answers"; else echo "port $port does not answer"; exit 1; fi
done
