// SPDX-License-Identifier: Apache-2.0
package leatbench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The jobs of tests/bench/jobs for Kafka Streams: RocksDB window store with its changelog, results
 * to a topic, one thread, a commit each 100 ms as leat does.
 *
 * <p>rawkey: count per record key and minute, the value not parsed. json: parse, drop status=fault,
 * per device (the key) count, sum, min, max of temp * 1.8 + 32.
 *
 * <p>Arguments: bootstrap topic mode guarantee records state-folder. Prints "records N all R warm R":
 * records per second from start() until the committed offset has reached N, and from the first
 * commit on.
 */
public final class StreamsBench {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final TimeWindows MINUTE = TimeWindows.ofSizeWithNoGrace(Duration.ofSeconds(60));
    private static final long LIMIT_NS = 900_000_000_000L;

    private StreamsBench() {
    }

    private static Properties settings(String[] args, String application) {
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[3]);
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 10 * 1024 * 1024);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        p.put(StreamsConfig.STATE_DIR_CONFIG, args[5]);
        p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        p.put("auto.offset.reset", "earliest");
        p.put("max.poll.records", 10000);
        return p;
    }

    private static void rawkey(StreamsBuilder b, String topic, String out) {
        b.stream(topic, Consumed.with(Serdes.Bytes(), Serdes.Bytes()))
            .groupByKey(Grouped.with(Serdes.Bytes(), Serdes.Bytes()))
            .windowedBy(MINUTE)
            .count(Materialized.<Bytes, Long, WindowStore<Bytes, byte[]>>as("counts")
                .withKeySerde(Serdes.Bytes()).withValueSerde(Serdes.Long()))
            .toStream((k, v) -> k.key())
            .to(out, Produced.with(Serdes.Bytes(), Serdes.Long()));
    }

    private static Double fahrenheit(byte[] value) {
        try {
            JsonNode j = MAPPER.readTree(value);
            if ("fault".equals(j.get("status").textValue())) {
                return null;
            }
            return j.get("temp").doubleValue() * 1.8 + 32;
        } catch (IOException e) {
            return null;
        }
    }

    // count, sum, min, max
    private static byte[] add(byte[] state, double x) {
        ByteBuffer s = ByteBuffer.wrap(state.clone());
        int n = s.getInt(0);
        s.putInt(0, n + 1);
        s.putDouble(4, s.getDouble(4) + x);
        s.putDouble(12, n == 0 ? x : Math.min(s.getDouble(12), x));
        s.putDouble(20, n == 0 ? x : Math.max(s.getDouble(20), x));
        return s.array();
    }

    // mapValues, not map: the key is unchanged, so that there is no repartition topic.
    private static void json(StreamsBuilder b, String topic, String out) {
        KStream<Bytes, byte[]> in = b.stream(topic, Consumed.with(Serdes.Bytes(), Serdes.ByteArray()));
        in.mapValues(StreamsBench::fahrenheit)
            .filter((k, v) -> v != null)
            .groupByKey(Grouped.with(Serdes.Bytes(), Serdes.Double()))
            .windowedBy(MINUTE)
            .aggregate(() -> new byte[28], (k, v, s) -> add(s, v),
                Materialized.<Bytes, byte[], WindowStore<Bytes, byte[]>>as("stats")
                    .withKeySerde(Serdes.Bytes()).withValueSerde(Serdes.ByteArray()))
            .toStream((k, v) -> k.key())
            .to(out, Produced.with(Serdes.Bytes(), Serdes.ByteArray()));
    }

    private static long committed(Admin admin, String application, TopicPartition tp) throws InterruptedException {
        try {
            OffsetAndMetadata o =
                admin.listConsumerGroupOffsets(application).partitionsToOffsetAndMetadata().get().get(tp);
            return o == null ? 0 : o.offset();
        } catch (ExecutionException e) {
            return 0; // the group does not exist yet
        }
    }

    public static void main(String[] args) throws Exception {
        String application = "bench-" + System.currentTimeMillis();
        TopicPartition tp = new TopicPartition(args[1], 0);
        long n = Long.parseLong(args[4]);
        StreamsBuilder b = new StreamsBuilder();
        if (args[2].equals("rawkey")) {
            rawkey(b, args[1], "out-" + application);
        } else {
            json(b, args[1], "out-" + application);
        }
        Map<String, Object> client = Map.of("bootstrap.servers", args[0]);
        try (Admin admin = Admin.create(client);
             KafkaStreams ks = new KafkaStreams(b.build(), settings(args, application))) {
            admin.createTopics(java.util.List.of(new org.apache.kafka.clients.admin.NewTopic("out-" + application, 1, (short) 1)))
                .all().get();
            long start = System.nanoTime(), first = 0, done = 0, atFirst = 0;
            ks.start();
            while (done < n && System.nanoTime() - start < LIMIT_NS) {
                Thread.sleep(20);
                done = committed(admin, application, tp);
                if (first == 0 && done > 0) {
                    first = System.nanoTime();
                    atFirst = done;
                }
            }
            long end = System.nanoTime();
            double all = done * 1e9 / (end - start);
            double warm = done > atFirst ? (done - atFirst) * 1e9 / (end - first) : all;
            System.out.printf("records %d all %.0f warm %.0f%n", done, all, warm);
        }
    }
}
