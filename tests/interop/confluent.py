#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""librdkafka through confluent_kafka: idempotence, groups, administration."""
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import ServerTest, main  # noqa: E402


class Confluent(ServerTest):
    def producer(self, **more):
        return Producer({"bootstrap.servers": self.server.address, "log_level": 0,
                         "linger.ms": 5, **more})

    def consumer(self, group, **more):
        return Consumer({"bootstrap.servers": self.server.address, "log_level": 0,
                         "group.id": group,
                         "auto.offset.reset": "earliest",
                         "session.timeout.ms": 6000, "heartbeat.interval.ms": 300,
                         "enable.auto.commit": False, **more})

    def admin(self):
        return AdminClient({"bootstrap.servers": self.server.address, "log_level": 0})

    def create(self, topic, partitions=1, config=None):
        admin = self.admin()  # must outlive its futures
        admin.create_topics([NewTopic(topic, partitions, 1, config=config or {})])[topic].result(10)

    def produce(self, topic, n, partitions=1, **more):
        failed = []
        p = self.producer(**more)
        for i in range(n):
            p.produce(topic, str(i).encode(), partition=i % partitions,
                      on_delivery=lambda e, m: failed.append(e) if e else None)
            p.poll(0)
        self.assertEqual(p.flush(30), 0)
        self.assertEqual(failed, [])

    def read(self, consumers, n, seconds=30):
        got, deadline = [], time.monotonic() + seconds
        while len(got) < n and time.monotonic() < deadline:
            for c in consumers:
                for m in c.consume(1000, 0.05):
                    self.assertIsNone(m.error())
                    got.append((m.partition(), m.offset(), int(m.value())))
        return got

    def test_idempotent_producer(self):
        self.create("idempotent")
        self.produce("idempotent", 20000, **{"enable.idempotence": True})
        c = self.consumer("i")
        c.subscribe(["idempotent"])
        got = self.read([c], 20000)
        c.close()
        self.assertEqual([v for _, _, v in got], list(range(20000)))
        self.assertEqual([o for _, o, _ in got], list(range(20000)))

    def test_two_members_share_and_a_third_takes_over(self):
        self.create("shared", 6)
        self.produce("shared", 6000, 6)
        a, b = self.consumer("s"), self.consumer("s")
        a.subscribe(["shared"])
        b.subscribe(["shared"])
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (len(a.assignment()) == len(b.assignment()) == 3):
            for c in (a, b):
                for m in c.consume(100, 0.05):
                    c.seek(TopicPartition("shared", m.partition(), 0))
        self.assertEqual((len(a.assignment()), len(b.assignment())), (3, 3))
        a.close()
        got, deadline = set(), time.monotonic() + 30
        while len(got) < 6000 and time.monotonic() < deadline:
            got |= {v for _, _, v in self.read([b], 1)}  # nothing is committed: some come twice
        self.assertEqual(len(got), 6000)
        self.assertEqual(len(b.assignment()), 6)
        b.close()

    def test_offsets_survive_a_restart(self):
        self.create("restart", 2)
        self.produce("restart", 100, 2)
        c = self.consumer("r")
        c.subscribe(["restart"])
        self.assertEqual(len(self.read([c], 100)), 100)
        c.commit(asynchronous=False)
        c.close()
        self.server.terminate()
        self.server.start()
        self.produce("restart", 10, 2)
        c = self.consumer("r")
        c.subscribe(["restart"])
        got = self.read([c], 11, 5)
        c.close()
        self.assertEqual(len(got), 10)

    def test_a_member_outlives_the_server(self):
        self.create("outlive")
        c = self.consumer("o")
        c.subscribe(["outlive"])
        self.produce("outlive", 10)
        self.assertEqual(len(self.read([c], 10)), 10)
        self.server.terminate()
        self.server.start()
        self.produce("outlive", 10)
        self.assertEqual(len(self.read([c], 10)), 10)
        c.close()

    def test_static_member_comes_back_without_rebalance(self):
        self.create("static", 2)
        self.produce("static", 10, 2)
        c = self.consumer("st", **{"group.instance.id": "one"})
        c.subscribe(["static"])
        self.assertEqual(len(self.read([c], 10)), 10)
        c.commit(asynchronous=False)
        c.close()
        start = time.monotonic()
        c = self.consumer("st", **{"group.instance.id": "one"})
        c.subscribe(["static"])
        self.produce("static", 2, 2)
        self.assertEqual(len(self.read([c], 2)), 2)
        self.assertLess(time.monotonic() - start, 5)
        c.close()

    def test_administration(self):
        self.create("administered", 3, {"retention.ms": "60000"})
        admin = self.admin()
        with self.assertRaises(KafkaException) as e:
            self.create("administered")
        self.assertEqual(e.exception.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS)
        for topic, args, code in (("a b", {}, KafkaError.TOPIC_EXCEPTION),
                                  ("bad-config", {"config": {"no.such": "1"}},
                                   KafkaError.INVALID_CONFIG)):
            with self.assertRaises(KafkaException) as e:
                self.create(topic, **args)
            self.assertEqual(e.exception.args[0].code(), code)
        r = ConfigResource(ConfigResource.Type.TOPIC, "administered")
        configs = admin.describe_configs([r])[r].result(10)
        self.assertEqual(configs["retention.ms"].value, "60000")
        self.assertEqual(configs["cleanup.policy"].value, "delete")
        admin.create_partitions([NewPartitions("administered", 5)])["administered"].result(10)
        topic = admin.list_topics("administered", 10).topics["administered"]
        self.assertEqual(len(topic.partitions), 5)
        self.produce("administered", 5, 5)
        admin.delete_topics(["administered"])["administered"].result(10)
        self.assertNotIn("administered", admin.list_topics(timeout=10).topics)

    def test_a_topic_made_again_is_empty(self):
        self.create("again")
        self.produce("again", 10)
        admin = self.admin()
        admin.delete_topics(["again"])["again"].result(10)
        self.create("again")
        c = self.consumer("ag")
        self.assertEqual(c.get_watermark_offsets(TopicPartition("again", 0), timeout=10), (0, 0))
        c.close()

    def test_transactions_are_refused_clearly(self):
        p = self.producer(**{"transactional.id": "t"})
        with self.assertRaises(KafkaException) as e:
            p.init_transactions(10)
        self.assertTrue(e.exception.args[0].fatal() or not e.exception.args[0].retriable())

    def test_a_record_that_is_too_large(self):
        self.create("large")
        errors = []
        p = self.producer(**{"message.max.bytes": 5000000})
        p.produce("large", b"x" * 2000000, on_delivery=lambda e, m: errors.append(e.code()))
        p.flush(20)
        self.assertEqual(errors, [KafkaError.MSG_SIZE_TOO_LARGE])

    def test_long_poll_wakes_at_once(self):
        self.create("poll")
        c = self.consumer("p", **{"fetch.wait.max.ms": 5000})
        c.assign([TopicPartition("poll", 0, 0)])
        c.poll(1)
        waits = []
        p = self.producer(**{"linger.ms": 0})
        for _ in range(10):
            start = time.monotonic()
            p.produce("poll", b"1")
            p.flush(10)
            self.assertIsNotNone(c.poll(5))
            waits.append(time.monotonic() - start)
        c.close()
        self.assertLess(sorted(waits)[5], 0.5)


if __name__ == "__main__":
    main()
