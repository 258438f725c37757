package distributedmarket;

import java.io.IOException;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import sun.misc.Unsafe;

/**
 * The variables that the processes inherit which this one starts: C's, of which Java makes a copy at its start.
 *
 * <p>Java has no call for it. From Java 22 on it can call C's setenv; before, the list that C's `environ`
 * points to is replaced by a longer one. Its package java.lang is open to Spark's drivers.
 */
final class Inherited {
    private static final int CALLS_C = 22;

    private Inherited() {}

    /** Set these variables; where that cannot be done, say so: the program has them all the same. */
    static void put(Map<String, String> values) {
        try {
            if (Runtime.version().feature() >= CALLS_C) {
                MethodHandle setenv = setenv();
                Method text = foreign("SegmentAllocator").getMethod("allocateFrom", String.class);
                Object memory = foreign("Arena").getMethod("global").invoke(null);
                for (Map.Entry<String, String> one : values.entrySet()) {
                    Object name = text.invoke(memory, one.getKey());
                    setenv.invokeWithArguments(name, text.invoke(memory, one.getValue()), 1);
                }
            } else {
                extend(values);
            }
        } catch (Throwable other) { // a call of C may throw anything
            System.err.println("market: processes that this program starts lack its secrets: " + other);
        }
    }

    private static Class<?> foreign(String name) throws ClassNotFoundException {
        return Class.forName("java.lang.foreign." + name);
    }

    private static MethodHandle setenv() throws ReflectiveOperationException {
        Class<?> linking = foreign("Linker");
        Object linker = linking.getMethod("nativeLinker").invoke(null);
        Object lookup = linking.getMethod("defaultLookup").invoke(linker);
        Object found = foreign("SymbolLookup").getMethod("find", String.class).invoke(lookup, "setenv");
        Object number = foreign("ValueLayout").getField("JAVA_INT").get(null);
        Object address = foreign("ValueLayout").getField("ADDRESS").get(null);
        Object arguments = Array.newInstance(foreign("MemoryLayout"), 3);
        for (int at = 0; at < 3; at++) {
            Array.set(arguments, at, at < 2 ? address : number);
        }
        Class<?> shapes = foreign("FunctionDescriptor");
        Object shape =
                shapes.getMethod("of", foreign("MemoryLayout"), arguments.getClass())
                        .invoke(null, number, arguments);
        Object options = Array.newInstance(foreign("Linker$Option"), 0);
        Class<?> symbol = foreign("MemorySegment");
        return (MethodHandle)
                linking.getMethod("downcallHandle", symbol, shapes, options.getClass())
                        .invoke(linker, ((Optional<?>) found).orElseThrow(), shape, options);
    }

    private static void extend(Map<String, String> values) throws ReflectiveOperationException, IOException {
        Field field = Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        Unsafe memory = (Unsafe) field.get(null);
        long environ = environ();
        long before = memory.getAddress(environ);
        int width = memory.addressSize();
        List<Long> lines = new ArrayList<>();
        for (long place = before; memory.getAddress(place) != 0; place += width) {
            if (!values.containsKey(name(memory, memory.getAddress(place)))) {
                lines.add(memory.getAddress(place));
            }
        }
        values.forEach((name, value) -> lines.add(text(memory, name + "=" + value)));
        lines.add(0L); // ends the list
        long after = memory.allocateMemory((long) width * lines.size());
        for (int at = 0; at < lines.size(); at++) {
            memory.putAddress(after + (long) width * at, lines.get(at));
        }
        memory.putAddress(environ, after);
    }

    private static String name(Unsafe memory, long line) {
        StringBuilder name = new StringBuilder();
        for (long place = line; memory.getByte(place) != 0 && memory.getByte(place) != '='; place++) {
            name.append((char) memory.getByte(place));
        }
        return name.toString();
    }

    /** Return where C keeps the address of the list of variables. */
    private static long environ() throws ReflectiveOperationException, IOException {
        SocketChannel.open().close(); // has Java load a library that is linked with C's
        Method find = ClassLoader.class.getDeclaredMethod("findNative", ClassLoader.class, String.class);
        find.setAccessible(true);
        long place = (long) find.invoke(null, null, "environ");
        if (place == 0) {
            throw new IllegalStateException("C's environ is not found");
        }
        return place;
    }

    private static long text(Unsafe memory, String line) {
        byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
        long place = memory.allocateMemory(bytes.length + 1L);
        for (int at = 0; at < bytes.length; at++) {
            memory.putByte(place + at, bytes[at]);
        }
        memory.putByte(place + bytes.length, (byte) 0);
        return place;
    }
}
