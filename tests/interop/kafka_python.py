#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kafka-python 2.0.2: the oldest versions that are served (Fetch 4, Metadata 1, JoinGroup 2)."""
import threading
import sys
import time
from pathlib import Path

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import ServerTest, main  # noqa: E402


class KafkaPython(ServerTest):
    def consumer(self, *topics, **more):
        return KafkaConsumer(*topics, bootstrap_servers=self.server.address,
                             auto_offset_reset="earliest", session_timeout_ms=6000,
                             heartbeat_interval_ms=500, **more)

    def produce(self, topic, n, **more):
        p = KafkaProducer(bootstrap_servers=self.server.address, acks="all", **more)
        futures = [p.send(topic, str(i).encode(), key=str(i).encode()) for i in range(n)]
        p.flush(30)
        for f in futures:
            f.get(10)
        p.close()

    def test_makes_topics_on_the_way(self):
        self.produce("on-the-way", 10)
        c = self.consumer("on-the-way", consumer_timeout_ms=5000)
        self.assertEqual(sorted(int(m.value) for m, _ in zip(c, range(10))), list(range(10)))
        c.close()

    def test_group_of_two(self):
        admin = KafkaAdminClient(bootstrap_servers=self.server.address)
        admin.create_topics([NewTopic("pair", 6, 1)])
        got, lock, stop = [], threading.Lock(), threading.Event()

        def run():
            c = self.consumer("pair", group_id="pair", enable_auto_commit=False)
            while not stop.is_set():
                for records in c.poll(200).values():
                    with lock:
                        got.extend(int(m.value) for m in records)
                if got:
                    c.commit()
            c.close()

        threads = [threading.Thread(target=run) for _ in range(2)]
        for t in threads:
            t.start()
        time.sleep(3)
        self.produce("pair", 3000)
        deadline = time.monotonic() + 20
        while len(got) < 3000 and time.monotonic() < deadline:
            time.sleep(0.1)
        stop.set()
        for t in threads:
            t.join()
        self.assertEqual(sorted(got), list(range(3000)))
        offsets = admin.list_consumer_group_offsets("pair")
        self.assertEqual(sum(o.offset for o in offsets.values()), 3000)
        self.assertIn(("pair", "consumer"), admin.list_consumer_groups())
        admin.close()

    def test_committed_offsets_are_kept(self):
        self.produce("kept", 100)
        c = self.consumer("kept", group_id="kept", consumer_timeout_ms=6000)
        self.assertEqual(len([m for m, _ in zip(c, range(100))]), 100)
        c.commit()
        c.close()
        self.server.terminate()
        self.server.start()
        c = self.consumer("kept", group_id="kept", consumer_timeout_ms=3000)
        self.assertEqual([m.value for m in c], [])
        c.close()

    def test_offsets_for_times(self):
        self.produce("times", 1)
        c = self.consumer()
        tps = [TopicPartition("times", p) for p in c.partitions_for_topic("times")]
        found = [o for o in c.offsets_for_times({tp: 0 for tp in tps}).values() if o is not None]
        self.assertEqual(len(found), 1)
        self.assertEqual(sum(c.end_offsets(tps).values()), 1)
        c.close()

    def test_compressed(self):
        for codec in ("gzip",):
            self.produce("packed-" + codec, 1000, compression_type=codec)
            c = self.consumer("packed-" + codec, consumer_timeout_ms=5000)
            self.assertEqual(len([m for m, _ in zip(c, range(1000))]), 1000)
            c.close()


if __name__ == "__main__":
    main()
